import { once } from "node:events";
import { connect, type Socket } from "node:net";

const CONNECTIONS = 10;
const EVERY_MS = 10;

export interface Latency {
  readonly p50Us: number;
  readonly p99Us: number;
}

/** How long a PING of Redis takes at 1,000 a second, over ten connections, in microseconds. */
export async function measureLatency(port: number, durationMs: number): Promise<Latency> {
  const sockets = await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true });
      await once(socket, "connect");
      return socket;
    }),
  );
  try {
    const times = (await Promise.all(sockets.map((socket, index) => ask(socket, index, durationMs)))).flat().toSorted((a, b) => a - b);
    const at = (share: number): number => (times[Math.floor(times.length * share)] ?? Number.NaN) * 1000;
    return { p50Us: at(0.5), p99Us: at(0.99) };
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

/** Milliseconds of each exchange of one connection; they begin at fixed times, whatever the last one took. */
async function ask(socket: Socket, index: number, durationMs: number): Promise<number[]> {
  const times: number[] = [];
  const sent: number[] = [];
  socket.on("data", (chunk: Buffer) => {
    for (let answers = chunk.length / "+PONG\r\n".length; answers > 0; answers -= 1) times.push(performance.now() - (sent.shift() ?? 0));
  });
  const done = Promise.withResolvers<void>();
  socket.once("error", done.reject);
  const begin = setTimeout(
    () => {
      const timer = setInterval(() => {
        sent.push(performance.now());
        socket.write("PING\r\n");
      }, EVERY_MS);
      setTimeout(() => {
        clearInterval(timer);
        done.resolve();
      }, durationMs);
    },
    (index * EVERY_MS) / CONNECTIONS,
  );
  await done.promise;
  clearTimeout(begin);
  return times;
}
