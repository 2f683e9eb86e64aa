import { createServer } from "node:net";
import { eventually } from "@peapod/kit";
import { KUBECTL, type Outcome, type TestEngine } from "./engine-fixture.ts";

/** The image of the tests: Debian's busybox, made on the spot. */
export const IMAGE = "apt.local/busybox";

/** A container that runs a shell script of busybox, as JSON, which is YAML. */
export function shell(name: string, script: string, more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return { name, image: IMAGE, command: ["/bin/busybox", "sh", "-c", script], ...more };
}

/** A container that only waits, and ends at once on SIGTERM. */
export function idle(name: string, more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return shell(name, "trap 'exit 0' TERM; while :; do busybox sleep 3600 & wait $!; done", more);
}

/** A pod, as a manifest. */
export function pod(name: string, spec: Readonly<Record<string, unknown>>, metadata: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, ...metadata },
    spec: { terminationGracePeriodSeconds: 1, ...spec },
  });
}

/** Several objects as one manifest. */
export function list(...manifests: readonly string[]): string {
  return JSON.stringify({ apiVersion: "v1", kind: "List", items: manifests.map((manifest) => JSON.parse(manifest) as unknown) });
}

/** Applies manifests and waits until these pods are Ready. */
export async function applyReady(engine: TestEngine, manifest: string, ...names: readonly string[]): Promise<void> {
  await engine.apply(manifest);
  await engine.kubectl("wait", "--for=condition=Ready", "--timeout=60s", ...names.map((name) => `pod/${name}`));
}

/** Runs a shell script in a container; never throws for its exit code. */
export function inContainer(engine: TestEngine, podName: string, container: string, script: string): Promise<Outcome> {
  return engine.command(KUBECTL, ["exec", podName, "-c", container, "--", "/bin/busybox", "sh", "-c", script]);
}

/** What a script in a container prints, once it exits with 0. */
export async function output(engine: TestEngine, podName: string, container: string, script: string): Promise<string> {
  return eventually(
    async () => {
      const outcome = await inContainer(engine, podName, container, script);
      if (outcome.exitCode !== 0) throw new Error(`${podName}/${container}: ${script}: exit code ${outcome.exitCode}: ${outcome.stderr}`);
      return outcome.stdout.trim();
    },
    { withinMs: 10_000, everyMs: 100 },
  );
}

/** One field of an object, by JSONPath. */
export function field(engine: TestEngine, object: string, path: string): Promise<string> {
  return engine.kubectl("get", object, "-o", `jsonpath={${path}}`);
}

/** A TCP port that nothing listens on just now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("The server has no port");
  return address.port;
}
