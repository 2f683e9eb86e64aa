/**
 * What an ambassador with a listener in the kernel does, told as one JSON object on standard output. Run inside a network namespace made
 * for it, whose rules it changes: `unshare --net node kernel-path.fixture.ts`.
 */
import { execFileSync } from "node:child_process";
import { eventually, Scope } from "@peapod/kit";
import { ask, LineClient, startAmbassador, startEcho, tcpListener } from "./program.fixture.ts";
import type { AmbassadorStatus } from "./status.ts";

const LISTEN = "127.0.0.1:6000";
const WITHIN = { withinMs: 5_000 };

execFileSync("ip", ["link", "set", "lo", "up"]);
process.stdout.write(`${JSON.stringify(await tell())}\n`);

async function tell(): Promise<Record<string, unknown>> {
  await using scope = new Scope();
  const [blue, green] = [await startEcho(scope, "blue"), await startEcho(scope, "green")];
  const config = (port: number, datapath: string): Record<string, unknown> => ({
    drainTimeout: "5s",
    listeners: [tcpListener("db", port, { datapath, listen: LISTEN })],
  });
  const ambassador = await startAmbassador(scope, config(blue.port, "kernel"));
  const status = async (): Promise<AmbassadorStatus["listeners"][number]> => {
    const { listeners } = JSON.parse((await ask(ambassador.admin, "/status")).body) as AmbassadorStatus; // what the program wrote
    if (listeners[0] === undefined) throw new Error("There is no listener");
    return listeners[0];
  };
  const told: Record<string, unknown> = {};
  using client = new LineClient(6000);
  told["greeting"] = await client.line();
  told["echo"] = await client.ask("hello");
  const { body } = await ask(ambassador.admin, "/metrics");
  told["connections"] = /^ambassador_connections_total\{listener="db"\} (\d+)$/m.exec(body)?.[1];
  told["bytes"] = Number(/^ambassador_bytes_total\{listener="db",direction="to_client"\} (\d+)$/m.exec(body)?.[1]) > 0;
  told["isInKernel"] = (await status()).isInKernel;
  told["inProcess"] = ambassador.lines.some(({ message }) => message === "connection ended");

  await ambassador.configure(config(green.port, "kernel"));
  await reloaded(1);
  told["changed"] = await greeting();
  told["still"] = await client.ask("still");
  await ambassador.configure(config(green.port, "user"));
  await reloaded(2);
  told["user"] = [await greeting(), (await status()).isInKernel];
  told["after"] = await client.ask("after");
  client.socket.end();
  await eventually(() => !tables().includes("ambassador"), WITHIN);
  await ambassador.configure(config(blue.port, "kernel"));
  await reloaded(3);
  told["again"] = await greeting();
  ambassador.stop.abort();
  await ambassador.ended;
  told["left"] = tables();
  return told;

  async function reloaded(count: number): Promise<void> {
    await eventually(() => ambassador.lines.filter(({ message }) => message === "configuration reloaded").length >= count, WITHIN);
  }
}

async function greeting(): Promise<string | undefined> {
  using client = new LineClient(6000);
  const line = await client.line();
  await client.end();
  return line;
}

function tables(): string {
  return execFileSync("nft", ["list", "tables"], { encoding: "utf8" }).trim();
}
