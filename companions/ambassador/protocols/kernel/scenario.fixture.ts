/**
 * What a kernel forward does, told as one JSON object on standard output. Run inside a network namespace made for it, whose rules it
 * changes: `unshare --net --pid --fork --kill-child --mount-proc node scenario.fixture.ts`. The upstream stands in a second one, across a veth pair.
 */
import { execFile, spawn } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { eventually, silentLogger } from "@peapod/kit";
import type { TcpListenerConfig } from "../../config/config.ts";
import { AmbassadorError } from "../../errors.ts";
import type { Upstream } from "../../upstream/upstream.ts";
import { listenerTo } from "../tls/serving.fixture.ts";
import { type KernelForward, startKernelForward } from "./kernel-forward.ts";
import { tableName } from "./ruleset.ts";

const exec = promisify(execFile);
const listen = { kind: "tcp", host: "127.0.0.1", port: 6000 } as const;
const endpoints = [7001, 7002].map((port) => ({ kind: "tcp", host: "10.250.0.2", port }) as const);
const common = listenerTo(1);
const listener: TcpListenerConfig = {
  ...common,
  protocol: "tcp",
  datapath: "kernel",
  listen,
  limits: { ...common.limits, connections: 2 },
  upstream: { ...common.upstream, endpoints },
};
/** Says nothing within this scenario: failing over is by what the forward itself finds. */
const healthCheck = {
  everyMs: 60_000,
  timeoutMs: 1_000,
  unhealthyAfter: 3,
  healthyAfter: 1,
  closeConnections: false,
  kind: "connect",
  path: "/",
} as const;
const checked: TcpListenerConfig = { ...listener, upstream: { ...listener.upstream, healthCheck } };
const log = silentLogger;
const { signal } = new AbortController();
const quick = { withinMs: 5_000 };

console.log(JSON.stringify(await tell())); // oxlint-disable-line no-console -- it is what this program is for
process.exit(0); // the servers and the other namespace end with it

async function tell(): Promise<Record<string, unknown>> {
  const told: Record<string, unknown> = {};
  if (process.argv[2] === "powerless")
    return { code: await codeOf(startKernelForward(listener, upstream(), { log, signal, followEveryMs: 50 })) };
  await exec("ip", ["link", "set", "lo", "up"]);
  const inPeer = await makePeer();
  const first = startServer(inPeer, 7001, "first");
  const second = startServer(inPeer, 7002, "second");
  createServer((socket) => socket.end("ambassador\n")).listen(listen.port, listen.host);
  await eventually(async () => (await answer(7001, "10.250.0.2")) !== "" && (await answer(7002, "10.250.0.2")) !== "", quick);

  told["before"] = await answer();
  const forward = await startKernelForward(checked, upstream(), { log, signal, followEveryMs: 50 });
  const stop = new AbortController();
  const running = forward.run(stop.signal);
  told["forwarded"] = await answer();
  told["limited"] = await tryThree(forward);
  const { connections, refused, fromClientBytes, toClientBytes } = await forward.stats(signal);
  told["counted"] = { connections, refused, bytesBothWays: fromClientBytes > 0 && toClientBytes > 0 };
  first.kill("SIGKILL");
  told["failedOver"] = await eventually(async () => (await answer()).startsWith("second") && forward.endpoint, quick);
  await exec("nft", ["delete", "table", "ip", tableName(listener.name)]);
  told["repaired"] = await eventually(
    async () => (await answer()).startsWith("second") && (await forward.stats(signal)).connections > 0,
    quick,
  );

  const held = await hold();
  stop.abort();
  await running;
  told["drained"] = [await answer(), await echo(held)];
  held.destroy();
  const again = await startKernelForward(listener, upstream(), { log, signal, followEveryMs: 50 }); // as after a crash: the table stands
  told["takenOver"] = await answer();
  second.kill("SIGKILL");
  const stopAgain = new AbortController();
  const runningAgain = again.run(stopAgain.signal);
  told["noneWell"] = await eventually(async () => (await answer()) === "ambassador" && String(again.endpoint), quick);
  stopAgain.abort();
  await runningAgain;
  await again.close();
  await again.close();
  told["left"] = [(await exec("nft", ["list", "tables"])).stdout.trim(), routeLocalnet()];
  return { ...told, ...(await tellRefusals()) };
}

async function tellRefusals(): Promise<Record<string, unknown>> {
  const start = async (changed: Partial<TcpListenerConfig>): Promise<unknown> =>
    await codeOf(startKernelForward({ ...listener, ...changed }, upstream(), { log, signal, followEveryMs: 50 }));
  await exec("nft", ["add", "table", "ip", tableName(listener.name)]);
  const foreign = await start({});
  const stands = (await exec("nft", ["list", "tables"])).stdout.includes(tableName(listener.name));
  const outside = await start({ listen: { ...listen, host: "0.0.0.0" } });
  const closing = await start({ upstream: { ...listener.upstream, healthCheck: { ...healthCheck, closeConnections: true } } });
  const balanced = await start({ upstream: { ...listener.upstream, strategy: "round-robin" } });
  process.env["PATH"] = "/nowhere"; // the last thing: there is no nft any more
  return { foreign, stands, outside, closing, balanced, withoutNft: await start({}) };
}

async function makePeer(): Promise<string[]> {
  const peer = spawn("unshare", ["--net", "sleep", "60"], { stdio: "ignore" });
  const inPeer = ["--target", `${peer.pid}`, "--net"];
  await eventually(() => readlinkSync(`/proc/${peer.pid}/ns/net`) !== readlinkSync("/proc/self/ns/net"), quick);
  await exec("ip", ["link", "add", "veth0", "type", "veth", "peer", "name", "eth0", "netns", `${peer.pid}`]);
  await exec("ip", ["address", "add", "10.250.0.1/24", "dev", "veth0"]);
  await exec("ip", ["link", "set", "veth0", "up"]);
  await exec("nsenter", [...inPeer, "ip", "address", "add", "10.250.0.2/24", "dev", "eth0"]);
  await exec("nsenter", [...inPeer, "ip", "link", "set", "eth0", "up"]);
  return inPeer;
}

function startServer(inPeer: readonly string[], port: number, name: string): ReturnType<typeof spawn> {
  const script = join(import.meta.dirname, "peer.fixture.ts");
  return spawn("nsenter", [...inPeer, process.execPath, script, "10.250.0.2", `${port}`, name], { stdio: ["ignore", "ignore", "inherit"] });
}

/** Takes the first endpoint that `open` succeeds with, as `first-available` does. */
function upstream(): Upstream {
  return {
    connect: async (open, { signal: within }) => {
      for (const { host, port } of endpoints) {
        const target = { endpoint: `${host}:${port}`, address: { kind: "tcp", host, port }, host } as const;
        const value = await open(target, within, undefined).catch(() => undefined);
        if (value !== undefined) return { value, target, [Symbol.dispose]: () => {} };
      }
      throw new AmbassadorError("NO_ENDPOINT", "None is well");
    },
    endpoints: () => [],
    isAvailable: () => true,
    run: async () => {},
  };
}

/** The first line that comes; the error's code where none does. */
async function answer(port: number = listen.port, host: string = listen.host): Promise<string> {
  const socket = connect(port, host);
  try {
    return await lineOf(socket);
  } catch (cause) {
    return cause instanceof Error && "code" in cause && port === listen.port ? String(cause.code) : "";
  } finally {
    socket.destroy();
  }
}

async function hold(): Promise<Socket> {
  const socket = connect(listen.port, listen.host);
  await lineOf(socket);
  return socket;
}

async function echo(socket: Socket): Promise<string> {
  socket.write("still here\n");
  return await lineOf(socket);
}

async function lineOf(socket: Socket): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  socket.once("data", (chunk) => resolve(String(chunk).trim())).once("error", reject);
  socket.once("close", () => reject(new Error("Closed without a line")));
  socket.setTimeout(2_000, () => socket.destroy());
  return await promise;
}

/** Two connections fit, and are seen; a third does not. */
async function tryThree(forward: KernelForward): Promise<unknown> {
  await eventually(async () => (await forward.stats(signal)).open === 0, quick); // the one before may still be ending
  const sockets = [await hold(), await hold()];
  const { open } = await forward.stats(signal);
  const third = await answer();
  for (const socket of sockets) socket.destroy();
  await eventually(async () => (await forward.stats(signal)).open === 0, quick);
  return [open, third];
}

async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  const failure: unknown = await promise.catch((error: unknown) => error);
  return failure instanceof AmbassadorError
    ? [failure.code, failure.message.replace(/^.*?(?:kernel: |: datapath kernel |kernel )/, "")]
    : failure;
}

function routeLocalnet(): string {
  return readFileSync("/proc/sys/net/ipv4/conf/all/route_localnet", "utf8").trim();
}
