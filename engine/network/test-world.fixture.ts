import { type ChildProcess, execFileSync, fork } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { abortAfter, type Logger, Scope, silentLogger } from "@peapod/kit";
import { CLONE, unshare } from "../linux/libc.ts";
import { type AgentRequest, perform } from "./net-agent.fixture.ts";
import type { PodNetwork, PortMapping } from "./network.ts";
import { openBridgeNetwork } from "./open-bridge-network.ts";

/** A process in a network namespace of its own: a pod, or the world outside. */
export interface Agent {
  readonly netns: string;
  serve(protocol: "TCP" | "UDP", host: string, port: number, answer: string): Promise<void>;
  /** What the answer was, or the error's code; TIMEOUT after 0.8 s, less than TCP takes to try again. */
  ask(protocol: "TCP" | "UDP", host: string, port: number, from?: string): Promise<string>;
  /** Runs a shell command inside. */
  sh(command: string): string;
}

/** Gives the calling test process a machine of its own, as far as the network goes: nothing it does is seen outside. */
export function leaveForOwnMachine(): void {
  unshare(CLONE.NEWNET);
  sh("ip link set lo up");
}

/** Runs a shell command and gives its output. */
export function sh(command: string): string {
  return execFileSync("sh", ["-ec", command], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** The test's machine itself, which is where this process runs. */
export const host = {
  serve: async (protocol: "TCP" | "UDP", address: string, port: number, answer: string): Promise<void> => {
    await perform({ kind: "serve", protocol, host: address, port, answer });
  },
  ask: (protocol: "TCP" | "UDP", address: string, port: number): Promise<string> => perform({ kind: "ask", protocol, host: address, port }),
};

/** What one test has on the machine; closing it takes everything away. */
export class World implements AsyncDisposable {
  readonly dir = realpathSync(mkdtempSync(join(tmpdir(), "peapod-network-")));
  readonly #children: ChildProcess[] = [];
  readonly #scopes: Scope[] = [];

  /** Opens an engine's network; opened again with the same id it is the next process of that engine. */
  async open(
    engineId: string,
    options: { log?: Logger; podCIDR?: string; tendEveryMs?: number } = {},
  ): Promise<{ network: PodNetwork; scope: Scope }> {
    const scope = new Scope();
    this.#scopes.push(scope);
    const log = options.log ?? silentLogger;
    const network = await openBridgeNetwork({
      ...options,
      stateDir: join(this.dir, engineId),
      engineId,
      log,
      scope,
      lockPath: join(this.dir, "lock"),
    });
    return { network, scope };
  }

  /** A namespace with nothing in it but a loopback that is down. */
  async agent(): Promise<Agent> {
    const child = fork(new URL("./net-agent.fixture.ts", import.meta.url), { stdio: "inherit" });
    this.#children.push(child);
    const waiting = new Map<number, (result: string) => void>();
    child.on("message", ({ id, result }: { id: number; result: string }) => waiting.get(id)?.(result));
    await new Promise<string>((resolve) => waiting.set(-1, resolve));
    let last = 0;
    const request = (what: AgentRequest): Promise<string> => {
      const id = last++;
      const { promise, resolve } = Promise.withResolvers<string>();
      waiting.set(id, resolve);
      child.send({ id, request: what });
      return promise;
    };
    return {
      netns: `/proc/${child.pid}/ns/net`,
      serve: async (protocol, address, port, answer) => {
        const result = await request({ kind: "serve", protocol, host: address, port, answer });
        if (result !== "listening") throw new Error(result);
      },
      ask: (protocol, address, port, from) =>
        request({ kind: "ask", protocol, host: address, port, ...(from === undefined ? {} : { from }) }),
      sh: (command) => sh(`nsenter --net=/proc/${child.pid}/ns/net sh -ec '${command}'`),
    };
  }

  /** An agent connected as a pod. */
  async pod(network: PodNetwork, podUid: string, ports: readonly PortMapping[] = []): Promise<Agent & { ip: string }> {
    const agent = await this.agent();
    const { ip } = await network.attach(podUid, agent.netns, ports, abortAfter(10_000));
    return { ...agent, ip };
  }

  /** The world outside: 198.51.100.2, with a link to the machine's 198.51.100.1 and no route to anything behind it. */
  async outside(): Promise<Agent> {
    const agent = await this.agent();
    sh(`ip link add uplink type veth peer name eth0 netns ${agent.netns}; ip addr add 198.51.100.1/24 dev uplink; ip link set uplink up`);
    agent.sh("ip link set lo up; ip addr add 198.51.100.2/24 dev eth0; ip link set eth0 up");
    return agent;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = this.#children.map((child) => new Promise((resolve) => child.once("close", resolve)));
    for (const child of this.#children) child.kill("SIGKILL");
    await Promise.all(ended);
    for (const scope of this.#scopes) await scope[Symbol.asyncDispose]();
    rmSync(this.dir, { recursive: true, force: true });
    // A veth goes by itself with its namespace, at any moment.
    const list = "{ ip -o link show type bridge; ip -o link show type veth; } | cut -d: -f2 | cut -d@ -f1";
    sh(`nft flush ruleset; for device in $(${list}); do ip link del $device 2>/dev/null || true; done`);
  }
}

/** Whether bridged packets go through iptables and nftables: br_netfilter, which Docker loads, switches it on. */
export function setBridgeNetfilter(on: boolean): boolean {
  try {
    writeFileSync("/proc/sys/net/bridge/bridge-nf-call-iptables", on ? "1" : "0", { flag: "r+" });
    return true;
  } catch {
    return !on; // the module is not loaded: as if it were off
  }
}

/** A port mapping, TCP on every address unless said otherwise. */
export function port(hostPort: number, containerPort: number, more: Partial<PortMapping> = {}): PortMapping {
  return { protocol: "TCP", hostIP: "", hostPort, containerPort, ...more };
}
