import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test, type TestContext } from "node:test";
import { eventually } from "@peapod/kit";
import { startEngine } from "./engine-fixture.ts";
import { type Kubectl, kubectlOf, versions } from "./kubectl-runner.ts";
import { idle, IMAGE, pod, shell } from "./pods.ts";

test("kubectl watches pods and reads their logs as on a cluster", { concurrency: true }, async (t) => {
  await withEach(t, async (inner, kubectl) => {
    await inner.test("get -w sees a pod come and go", () => watches(kubectl));
    await inner.test("logs, followed to the end of the container", () => followsLogs(kubectl));
    await inner.test("logs of the container before", () => showsPrevious(kubectl));
  });
});

test("kubectl waits for pods and deletes them as on a cluster", { concurrency: true }, async (t) => {
  await withEach(t, async (inner, kubectl) => {
    await inner.test("wait for a condition, a value, a deletion", () => waits(kubectl));
    await inner.test("delete with grace, at once, and by label", () => deletes(kubectl));
    await inner.test("run a pod that ends", () => runs(kubectl));
  });
});

/** One engine, and beside each other a subtest for each kubectl. */
async function withEach(t: TestContext, body: (inner: TestContext, kubectl: Kubectl) => Promise<void>): Promise<void> {
  const engine = await startEngine(t);
  await engine.peapod("image", "pull", IMAGE);
  const each = versions.map((version) =>
    t.test(version, { concurrency: false }, async (inner) => body(inner, await kubectlOf(inner, engine, version))),
  );
  await Promise.all(each);
}

async function watches(kubectl: Kubectl): Promise<void> {
  const watch = kubectl.background("get", "pods", "-w", "--output-watch-events");
  await kubectl.says(["apply", "-f", "-"], pod("seen", { containers: [idle("one"), idle("two")] }));
  await kubectl.says(["wait", "--for=condition=Ready", "--timeout=20s", "pod/seen"]);
  await kubectl.says(["delete", "pod", "seen"]);
  await eventually(() => /^DELETED/m.test(watch.said()), { withinMs: 5_000 });
  const lines = watch
    .said()
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/ +/));
  assert.deepEqual(lines.shift(), ["EVENT", "NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
  assert.deepEqual([lines.at(0)?.[0], lines.at(-1)?.[0]], ["ADDED", "DELETED"]);
  // One container may be ready, or ended, before the other, and a change that shows in no column repeats a line.
  const states = lines.map(([_event, _name, ready, status]) => `${ready} ${status}`);
  const steps = states.filter((state, index) => state !== states[index - 1] && !state.startsWith("1/2"));
  // A pod may run before anybody was told that it is being made.
  const told = steps.filter((state) => state !== "0/2 ContainerCreating");
  assert.deepEqual(told, ["0/2 Pending", "2/2 Running", "2/2 Terminating", "0/2 Completed"]);
}

async function followsLogs(kubectl: Kubectl): Promise<void> {
  const { says, refuses } = kubectl;
  const talker = shell("talker", "for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 0.25; done; echo problem >&2");
  await says(["apply", "-f", "-"], pod("talk", { restartPolicy: "Never", containers: [talker, shell("other", "echo other; sleep 60")] }));
  await eventually(() => says(["logs", "talk", "-c", "talker"]), { withinMs: 20_000 });
  const follower = kubectl.background("logs", "-f", "talk", "-c", "talker");
  await eventually(() => follower.said().includes("line 2\n"), { withinMs: 5_000 });
  assert.ok(!follower.said().includes("line 8"), "it comes while the container runs");
  assert.equal(await follower.ended, 0, "it ends when the container ends");
  assert.equal(follower.said(), `${[1, 2, 3, 4, 5, 6, 7, 8].map((i) => `line ${i}\n`).join("")}problem\n`);
  assert.equal(await says(["logs", "talk", "-c", "talker", "--tail=2"]), "line 8\nproblem\n");
  assert.equal(await says(["logs", "talk", "-c", "talker", "--tail=0"]), "");
  assert.equal(await says(["logs", "talk", "-c", "talker", "--limit-bytes=9"]), "line 1\nli");
  assert.match(
    await says(["logs", "talk", "-c", "talker", "--timestamps", "--tail=1"]),
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z problem\n$/,
  );
  const stamped = (await says(["logs", "talk", "-c", "talker", "--timestamps"])).split("\n");
  const second = stamped[4]?.slice(0, 19) ?? ""; // kubectl asks in whole seconds
  const since = stamped.filter((line) => line.slice(0, 19) >= second).map((line) => line.slice(31));
  assert.equal(await says(["logs", "talk", "-c", "talker", `--since-time=${second}Z`]), `${since.join("\n")}\n`);
  assert.equal(await says(["logs", "talk", "-c", "talker", "--since=10m"]), follower.said());
  await eventually(async () => (await says(["logs", "talk", "-c", "talker", "--since=1s"])) === "", { withinMs: 5_000, everyMs: 200 });
  const all = await says(["logs", "talk", "--all-containers", "--prefix", "--tail=1"]);
  assert.deepEqual(all.trim().split("\n").sort(), ["[pod/talk/other] other", "[pod/talk/talker] problem"]);
  const defaulted = await kubectl.outcome(["logs", "talk", "--tail=1"]);
  assert.deepEqual(defaulted, { exitCode: 0, stdout: "problem\n", stderr: 'Defaulted container "talker" out of: talker, other\n' });
  await refuses(["logs", "talk", "-c", "nope"], /^error: container nope is not valid for pod talk\n$/);
  await says(["delete", "pod", "talk", "--now"]);
}

async function showsPrevious(kubectl: Kubectl): Promise<void> {
  const { says, refuses } = kubectl;
  const twice = shell("twice", "echo run at $(cat /proc/uptime); sleep 1; test -e /kept/once && exec sleep 60; touch /kept/once; exit 3", {
    volumeMounts: [{ name: "kept", mountPath: "/kept" }],
  });
  await says(["apply", "-f", "-"], pod("again", { containers: [twice], volumes: [{ name: "kept", emptyDir: {} }] }));
  await says(["wait", "--for=jsonpath={.status.containerStatuses[0].state.running}", "--timeout=20s", "pod/again"]);
  await refuses(
    ["logs", "--previous", "again"],
    /^Error from server \(BadRequest\): previous terminated container "twice" in pod "again" not found\n$/,
  );
  const first = await eventually(() => says(["logs", "again"]), { withinMs: 5_000 });
  await says(["wait", "--for=jsonpath={.status.containerStatuses[0].restartCount}=1", "--timeout=20s", "pod/again"]);
  assert.equal(await says(["logs", "--previous", "again"]), first);
  assert.notEqual(await eventually(() => says(["logs", "again"]), { withinMs: 5_000 }), first);
  assert.match(await says(["get", "pod", "again"]), /\nagain {3}1\/1 {5}Running {3}1 \(\d+s ago\) {3}\d+s\n$/);
  assert.match(
    await says(["describe", "pod", "again"]),
    /Last State: {5}Terminated\n {6}Reason: {7}Error\n {6}Exit Code: {4}3\n {6}Started: .*\n {6}Finished: .*\n {4}Ready: {10}True\n {4}Restart Count: {2}1\n/,
  );
  await says(["delete", "pod", "again", "--now"]);
}

async function waits(kubectl: Kubectl): Promise<void> {
  const { says, refuses } = kubectl;
  await refuses(["wait", "--for=condition=Ready", "pod/late", "--timeout=1s"], /pods "late" not found/);
  await says(["apply", "-f", "-"], pod("late", { restartPolicy: "Never", containers: [shell("main", "sleep 1; exit 4")] }));
  await refuses(
    ["wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/late", "--timeout=3s"],
    /^error: timed out waiting for the condition on pods\/late\n$/,
  );
  assert.equal(await says(["wait", "--for=jsonpath={.status.phase}=Failed", "pod/late", "--timeout=20s"]), "pod/late condition met\n");
  const code = "--for=jsonpath={.status.containerStatuses[0].state.terminated.exitCode}=4";
  assert.equal(await says(["wait", code, "pod/late"]), "pod/late condition met\n");
  const gone = kubectl.background("wait", "--for=delete", "pod/late", "--timeout=20s");
  const unready = kubectl.background("wait", "--for=condition=Ready=false", "pod/late", "--timeout=20s");
  assert.equal(await unready.ended, 0, unready.said());
  await says(["delete", "pod", "late"]);
  assert.equal(await gone.ended, 0, gone.said());
  assert.equal(await says(["wait", "--for=delete", "pod/late"]), "");
}

async function deletes(kubectl: Kubectl): Promise<void> {
  const { says } = kubectl;
  const polite = shell("main", "trap 'sleep 1; exit 0' TERM; while :; do sleep 60 & wait $!; done");
  const mark = `stubborn-${kubectl.version}`;
  const stubborn = shell("main", `: ${mark}; trap '' TERM; while :; do sleep 1; done`);
  const make = (name: string, container: Record<string, unknown>, graceSeconds: number): string =>
    pod(name, { terminationGracePeriodSeconds: graceSeconds, containers: [container] }, { labels: { group: "them" } });
  for (const manifest of [make("polite", polite, 30), make("stubborn", stubborn, 2), make("forced", stubborn, 30)])
    await says(["apply", "-f", "-"], manifest);
  await says(["wait", "--for=condition=Ready", "--timeout=20s", "pod", "-l", "group=them"]);
  const timed = async (...args: readonly string[]): Promise<{ said: string; ms: number }> => {
    const startedMs = performance.now();
    return { said: await says(["delete", "pod", ...args]), ms: performance.now() - startedMs };
  };
  const deleted = (name: string) => new RegExp(`^pod "${name}" deleted( from ${kubectl.namespace} namespace)?\\n$`);
  const first = await timed("polite");
  assert.match(first.said, deleted("polite"));
  assert.ok(first.ms > 900 && first.ms < 10_000, `it returns when the pod is gone, and no later: ${first.ms} ms`);
  const second = await timed("stubborn");
  assert.ok(second.ms > 1_900 && second.ms < 10_000, `after its grace it is killed: ${second.ms} ms`);
  await says(["delete", "pod", "forced", "--wait=false"]);
  assert.match(await says(["get", "pods"]), /\nforced {3}1\/1 {5}Terminating /);
  const third = await timed("forced", "--grace-period=0", "--force");
  assert.ok(third.ms < 1_500, `by force the object is gone at once: ${third.ms} ms`);
  await eventually(() => !runsWith(mark), { withinMs: 6_000 }); // and what ran has no more than the shortest grace
  assert.equal((await kubectl.outcome(["delete", "pod", "-l", "group=them"])).stdout, "No resources found\n");
  await kubectl.refuses(["delete", "pod", "forced"], /^Error from server \(NotFound\): pods "forced" not found\n$/);
  assert.equal(await says(["delete", "pod", "forced", "--ignore-not-found"]), "");
}

async function runs(kubectl: Kubectl): Promise<void> {
  const { says } = kubectl;
  const image = "--image=apt.local/busybox";
  assert.equal(await says(["run", "once", image, "--restart=Never", "--", "sh", "-c", "echo done; exit 5"]), "pod/once created\n");
  await says(["wait", "--for=jsonpath={.status.phase}=Failed", "--timeout=20s", "pod/once"]);
  assert.equal(await says(["logs", "once"]), "done\n");
  assert.match(await says(["get", "pod", "once"]), /\nonce {3}0\/1 {5}Error {4}0 /);
  assert.equal(await says(["get", "pod", "once", "-o", "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}"]), "5");
  await says(["delete", "pod", "once"]);
}

/** Whether a container's process has this in its command line. */
function runsWith(mark: string): boolean {
  return readdirSync("/proc").some((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`: ${mark};`);
    } catch {
      return false; // no process, or no more
    }
  });
}
