import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import { startEngine } from "./engine-fixture.ts";
import { type Kubectl, kubectlOf, versions } from "./kubectl-runner.ts";
import { idle, pod } from "./pods.ts";

test("kubectl goes into containers as on a cluster", async (t) => {
  const engine = await startEngine(t);
  for (const version of versions) {
    await t.test(version, async (inner) => {
      const kubectl = await kubectlOf(inner, engine, version);
      await kubectl.says(["apply", "-f", "-"], pod("box", { containers: [idle("one"), idle("two")] }));
      await kubectl.says(["wait", "--for=condition=Ready", "--timeout=20s", "pod/box"]);
      await inner.test("exec: output, input, exit codes, errors", () => executes(kubectl));
      await inner.test("exec -it: a terminal of the caller's size", () => types(kubectl));
      await inner.test("exec ends its process when kubectl is gone", () => hangsUp(kubectl));
      await inner.test("cp both ways, a file and a folder", () => copies(kubectl, join(engine.file(`${version}/x`, ""), "..")));
      await kubectl.says(["delete", "pod", "box", "--now"]);
    });
  }
});

async function executes(kubectl: Kubectl): Promise<void> {
  const exec = (args: readonly string[], input?: string) => kubectl.outcome(["exec", ...args], input);
  const both = await exec(["box", "-c", "two", "--", "sh", "-c", "echo out; echo err >&2; exit 9"]);
  assert.deepEqual(both, { exitCode: 9, stdout: "out\n", stderr: "err\ncommand terminated with exit code 9\n" });
  const defaulted = await exec(["box", "--", "hostname"]);
  assert.deepEqual(defaulted, { exitCode: 0, stdout: "box\n", stderr: 'Defaulted container "one" out of: one, two\n' });
  const bulk = "0123456789abcdef\n".repeat(100_000); // more than any buffer on the way
  assert.equal((await exec(["-i", "box", "-c", "one", "--", "cat"], bulk)).stdout, bulk);
  assert.equal((await exec(["-i", "box", "-c", "one", "--", "wc", "-c"], "")).stdout, "0\n");
  assert.equal((await exec(["-i", "box", "-c", "one", "--", "head", "-n", "1"], bulk)).stdout, "0123456789abcdef\n");
  const missing = await exec(["box", "-c", "one", "--", "no-such-program"]);
  assert.notEqual(missing.exitCode, 0);
  assert.match(missing.stderr, /executable file (`no-such-program` )?not found in \$PATH/);
  await kubectl.refuses(["exec", "box", "-c", "nope", "--", "true"], /container nope is not valid for pod box/);
  await kubectl.refuses(["exec", "nope", "--", "true"], /^Error from server \(NotFound\): pods "nope" not found\n$/);
}

async function types(kubectl: Kubectl): Promise<void> {
  // The size comes just after the process, on a cluster too.
  const untilSized = "for i in 1 2 3 4 5 6 7 8 9; do stty size 2>/dev/null | grep -q 101 && break; sleep 0.1; done";
  const inside = `${untilSized}; test -t 0 && test -t 1 && echo a terminal of $(stty size), $TERM; exit 4`;
  const outcome = await kubectl.script(
    `stty rows 33 cols 101; $KUBECTL exec -it box -c one -- sh -c "${inside.replaceAll("$", String.raw`\$`)}"`,
    {
      terminal: true,
    },
  );
  assert.match(outcome.stdout, /a terminal of 33 101, xterm\r\n/);
  assert.match(outcome.stdout, /command terminated with exit code 4\r\n/);
  assert.equal(outcome.exitCode, 4);
  // What is typed is echoed, and an interrupt typed is a signal for the program inside.
  const typed = await kubectl.script(
    String.raw`(sleep 1; printf "echo seen-\$((6*7))\r"; sleep 0.5; printf "sleep 60\r"; sleep 0.5; printf "\003"; sleep 0.3; printf "exit 6\r"; sleep 1) | script --quiet --return --command "$KUBECTL exec -it box -c one -- sh" /dev/null`,
  );
  // The terminal of script may add a return of its own, to kubectl's own words too; the container's line must have no more than those.
  const returnsAfter = (words: string): string | undefined => new RegExp(`${words}(\r+)\n`).exec(typed.stdout)?.[1];
  assert.ok(returnsAfter("seen-42") !== undefined, typed.stdout);
  assert.equal(returnsAfter("seen-42"), returnsAfter("exit code 6"), typed.stdout);
  assert.equal(typed.exitCode, 6, typed.stdout);
}

async function hangsUp(kubectl: Kubectl): Promise<void> {
  const started = kubectl.background("exec", "box", "-c", "two", "--", "sh", "-c", "echo up; sleep 4321; sleep 1");
  await eventually(() => started.said().includes("up"), { withinMs: 5_000 });
  const processes = () => kubectl.says(["exec", "box", "-c", "two", "--", "ps", "-o", "args"]);
  assert.match(await processes(), /sleep 4321/);
  started.stop();
  await started.ended;
  await eventually(async () => !(await processes()).includes("sleep 4321"), { withinMs: 5_000, everyMs: 100 });
}

async function copies(kubectl: Kubectl, folder: string): Promise<void> {
  const there = join(folder, "there");
  mkdirSync(join(there, "deep"), { recursive: true });
  const bytes = Buffer.from(Array.from({ length: 100_000 }, (_unused, index) => (index * 7919) % 256));
  writeFileSync(join(there, "deep", "bytes.bin"), bytes);
  writeFileSync(join(there, "script.sh"), "exit 0\n", { mode: 0o755 });
  await kubectl.says(["cp", there, "box:/tmp/there", "-c", "two"]);
  assert.equal(
    await kubectl.says(["exec", "box", "-c", "two", "--", "sh", "-c", "cd /tmp/there; find . -type f | sort; test -x script.sh"]),
    "./deep/bytes.bin\n./script.sh\n",
  );
  await kubectl.says(["cp", "box:/tmp/there", join(folder, "back"), "-c", "two"]);
  assert.ok(existsSync(join(folder, "back", "script.sh")));
  assert.deepEqual(readFileSync(join(folder, "back", "deep", "bytes.bin")), bytes);
  await kubectl.says(["cp", `${kubectl.namespace}/box:/tmp/there/script.sh`, join(folder, "one.sh"), "-c", "two"]);
  assert.equal(readFileSync(join(folder, "one.sh"), "utf8"), "exit 0\n");
  await kubectl.refuses(["exec", "box", "-c", "one", "--", "cat", "/tmp/there/script.sh"], /No such file/); // the other container's own
}
