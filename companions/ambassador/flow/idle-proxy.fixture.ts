/** A proxy in a process of its own, for its memory: prints its port, then, for each line on its input, its resident bytes after a collection. */
import { listen } from "./listen.ts";
import { tcp } from "./pair.fixture.ts";
import { splice } from "./splice.ts";
import { dial, type Wire } from "./wire.ts";

const port = Number(process.argv[2]);
const signal = new AbortController().signal;

const serve = async (client: Wire): Promise<void> => {
  const upstream = await dial({ kind: "tcp", host: "127.0.0.1", port }, { keepAliveMs: 30_000 }, signal);
  await splice(client, upstream).done;
};

const proxy = await listen(
  { listen: { kind: "tcp", host: "127.0.0.1", port: 0 }, socketMode: 0o600, acceptProxyProtocol: false, handshakeMs: 1_000 },
  { kind: "wire", onConnection: (client) => void serve(client), onRefused: () => {} },
);
process.stdout.write(`${tcp(proxy.address).port}\n`);
process.stdin.on("data", () => {
  for (let turn = 0; turn < 3; turn += 1) globalThis.gc?.();
  process.stdout.write(`${process.memoryUsage.rss()}\n`);
});
process.stdin.on("end", () => process.exit());
