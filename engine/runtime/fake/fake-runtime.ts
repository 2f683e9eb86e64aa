import { randomBytes } from "node:crypto";
import { LatestHub, startTimer } from "@peapod/kit";
import { EngineError } from "../../errors.ts";
import type {
  Container,
  ContainerConfig,
  ContainerRuntime,
  ContainerState,
  ExecOptions,
  ExecSession,
  PodSandbox,
  PodSandboxConfig,
  RuntimeEvent,
} from "../runtime.ts";
import { FakeExecSession } from "./fake-exec-session.ts";

/** The calls that a test may make fail. */
export type FakeCall =
  | "runPodSandbox"
  | "stopPodSandbox"
  | "removePodSandbox"
  | "createContainer"
  | "startContainer"
  | "stopContainer"
  | "removeContainer";

interface Made {
  readonly config: ContainerConfig;
  container: Container;
  /** Resolves a stop that waits out its grace. */
  ended: PromiseWithResolvers<void>;
}

export interface FakeRuntimeOptions {
  readonly nowMs?: () => number;
  /** Whether a container ends at its stop signal, or waits for SIGKILL. Default: it ends, with 143. */
  readonly endsOnStop?: (config: ContainerConfig) => boolean;
}

/**
 * A runtime in memory. A container runs until `exit` ends it, or it is stopped; what `args` says as `exit N` ends at once with N.
 * A test makes a call fail with `failNext`, and sees with `calls` what was asked.
 */
export class FakeRuntime implements ContainerRuntime {
  readonly version = "fake://1.0.0";
  readonly calls: string[] = [];
  readonly #sandboxes = new Map<string, { readonly config: PodSandboxConfig; sandbox: PodSandbox }>();
  readonly #containers = new Map<string, Made>();
  readonly #failures = new Map<FakeCall, Error[]>();
  readonly #events = new LatestHub<RuntimeEvent>();
  readonly #nowMs: () => number;
  readonly #endsOnStop: (config: ContainerConfig) => boolean;
  #nextPid = 1000;

  constructor(options: FakeRuntimeOptions = {}) {
    this.#nowMs = options.nowMs ?? Date.now;
    this.#endsOnStop = options.endsOnStop ?? (() => true);
  }

  /** The next such call fails with this error. */
  failNext(call: FakeCall, error: Error): void {
    this.#failures.set(call, [...(this.#failures.get(call) ?? []), error]);
  }

  /** Ends a running container by itself. */
  exit(id: string, exitCode: number, options: { oomKilled?: boolean } = {}): void {
    const made = this.#made(id);
    const { state } = made.container;
    if (state.kind !== "running") throw new Error(`Container ${id} does not run: it is ${state.kind}`);
    this.#become(made, {
      kind: "exited",
      exitCode,
      startedAtMs: state.startedAtMs,
      finishedAtMs: this.#nowMs(),
      oomKilled: options.oomKilled ?? false,
    });
    this.#events.publish(id, { containerId: id, podUid: made.container.pod.uid });
  }

  /** What a reboot leaves: no sandbox lives, what ran vanished without an exit code. No notice is given. */
  reboot(): void {
    for (const entry of this.#sandboxes.values()) entry.sandbox = { ...entry.sandbox, state: "notready" };
    for (const made of this.#containers.values()) {
      const { state } = made.container;
      if (state.kind === "running") this.#become(made, { kind: "unknown", startedAtMs: state.startedAtMs, finishedAtMs: this.#nowMs() });
    }
  }

  /** Takes a sandbox away, as when its pause process is killed: what runs in it ends. */
  loseSandbox(id: string): void {
    const entry = this.#sandboxes.get(id);
    if (entry === undefined) throw new Error(`No sandbox ${id}`);
    entry.sandbox = { ...entry.sandbox, state: "notready" };
    for (const made of this.#inSandbox(id)) this.#kill(made, 137);
    this.#events.publish(id, { sandboxId: id, podUid: entry.config.pod.uid });
  }

  /** The configuration a container was made with. */
  configOf(id: string): ContainerConfig {
    return this.#made(id).config;
  }

  async runPodSandbox(config: PodSandboxConfig, signal: AbortSignal): Promise<PodSandbox> {
    await this.#enter("runPodSandbox", config.pod.name, signal);
    const id = randomBytes(16).toString("hex");
    const sandbox: PodSandbox = {
      id,
      pod: config.pod,
      attempt: config.attempt,
      state: "ready",
      createdAtMs: this.#nowMs(),
      netnsPath: `/fake/netns/${id}`,
    };
    this.#sandboxes.set(id, { config, sandbox });
    return sandbox;
  }

  async stopPodSandbox(id: string, signal: AbortSignal): Promise<void> {
    await this.#enter("stopPodSandbox", id, signal);
    const entry = this.#sandboxes.get(id);
    if (entry === undefined) return;
    for (const made of this.#inSandbox(id)) this.#kill(made, 137);
    entry.sandbox = { ...entry.sandbox, state: "notready" };
  }

  async removePodSandbox(id: string, signal: AbortSignal): Promise<void> {
    await this.#enter("removePodSandbox", id, signal);
    for (const made of this.#inSandbox(id)) {
      this.#kill(made, 137);
      this.#containers.delete(made.container.id);
    }
    this.#sandboxes.delete(id);
  }

  async listPodSandboxes(): Promise<PodSandbox[]> {
    return [...this.#sandboxes.values()].map(({ sandbox }) => sandbox);
  }

  async podSandboxStatus(id: string): Promise<PodSandbox> {
    const entry = this.#sandboxes.get(id);
    if (entry === undefined) throw new EngineError("SANDBOX_NOT_FOUND", `No sandbox ${id}`);
    return entry.sandbox;
  }

  async createContainer(sandboxId: string, config: ContainerConfig, signal: AbortSignal): Promise<string> {
    await this.#enter("createContainer", `${config.name}/${config.attempt}`, signal);
    const entry = this.#sandboxes.get(sandboxId);
    if (entry?.sandbox.state !== "ready")
      throw new EngineError("SANDBOX_NOT_FOUND", `Cannot create container "${config.name}": no sandbox ${sandboxId} is ready`);
    const id = randomBytes(16).toString("hex");
    const { name, attempt, image, imageId, specHash, logPath } = config;
    const container: Container = {
      id,
      sandboxId,
      pod: entry.config.pod,
      name,
      attempt,
      image,
      imageId,
      specHash,
      logPath,
      createdAtMs: this.#nowMs(),
      state: { kind: "created" },
    };
    this.#containers.set(id, { config, container, ended: Promise.withResolvers() });
    return id;
  }

  async startContainer(id: string, signal: AbortSignal): Promise<void> {
    const made = this.#made(id);
    await this.#enter("startContainer", `${made.config.name}/${made.config.attempt}`, signal);
    if (made.container.state.kind !== "created")
      throw new EngineError("CONTAINER_START_FAILED", `Cannot start container ${id}: it is ${made.container.state.kind}`);
    this.#become(made, { kind: "running", pid: this.#nextPid++, startedAtMs: this.#nowMs() });
    const [command, code] = made.config.args;
    if (command === "exit") this.exit(id, Number(code ?? 0)); // within its start: a real one would take a moment longer
  }

  async stopContainer(id: string, graceSeconds: number, signal: AbortSignal): Promise<void> {
    await this.#enter("stopContainer", `${this.#containers.get(id)?.config.name ?? id} ${graceSeconds}`, signal);
    const made = this.#containers.get(id);
    if (made === undefined || made.container.state.kind !== "running") return;
    if (graceSeconds === 0) return this.#kill(made, 137);
    if (this.#endsOnStop(made.config)) return this.#kill(made, 143);
    const timer = startTimer(() => this.#kill(made, 137), graceSeconds * 1000);
    const aborted = Promise.withResolvers<never>();
    const onAbort = (): void => aborted.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await Promise.race([made.ended.promise, aborted.promise]);
    } finally {
      timer[Symbol.dispose]();
      signal.removeEventListener("abort", onAbort);
    }
  }

  async removeContainer(id: string, signal: AbortSignal): Promise<void> {
    await this.#enter("removeContainer", id, signal);
    const made = this.#containers.get(id);
    if (made?.container.state.kind === "running") this.#kill(made, 137);
    this.#containers.delete(id);
  }

  async listContainers(): Promise<Container[]> {
    return [...this.#containers.values()].map(({ container }) => container);
  }

  async containerStatus(id: string): Promise<Container> {
    return this.#made(id).container;
  }

  async exec(id: string, options: ExecOptions, signal: AbortSignal): Promise<ExecSession> {
    signal.throwIfAborted();
    if (this.#made(id).container.state.kind !== "running")
      throw new EngineError("CONTAINER_NOT_FOUND", `Cannot exec in container ${id}: it does not run`);
    return new FakeExecSession(options);
  }

  events(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    return this.#events.listen(signal);
  }

  async #enter(call: FakeCall, what: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.calls.push(`${call} ${what}`);
    await Promise.resolve();
    const failure = this.#failures.get(call)?.shift();
    if (failure !== undefined) throw failure;
  }

  #made(id: string): Made {
    const made = this.#containers.get(id);
    if (made === undefined) throw new EngineError("CONTAINER_NOT_FOUND", `No container ${id}`);
    return made;
  }

  #inSandbox(id: string): Made[] {
    return [...this.#containers.values()].filter(({ container }) => container.sandboxId === id);
  }

  #kill(made: Made, exitCode: number): void {
    const { state } = made.container;
    if (state.kind === "running") this.exit(made.container.id, exitCode);
    else if (state.kind === "created")
      this.#become(made, { kind: "exited", exitCode, startedAtMs: this.#nowMs(), finishedAtMs: this.#nowMs(), oomKilled: false });
  }

  #become(made: Made, state: ContainerState): void {
    made.container = { ...made.container, state };
    if (state.kind === "exited" || state.kind === "unknown") made.ended.resolve();
  }
}
