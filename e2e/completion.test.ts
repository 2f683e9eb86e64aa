import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import { peapod, startEngine, type TestEngine, type TestScope } from "./engine-fixture.ts";
import { applyReady, idle, pod } from "./pods.ts";

const READY = "prompt:";
const TAB = "\t";
/** With a colon, at which bash cuts words. */
const suite = /^VERSION_CODENAME=(\w+)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "stable";
const image = `apt.local/busybox:${suite}`;

/** How each shell is begun without its user's settings, and what makes it complete. */
const shells: Record<string, { command: string; begin: (script: string) => string }> = {
  bash: { command: `PS1=${READY} exec bash --norc --noprofile -i`, begin: (script) => `source ${script}` },
  zsh: { command: `PS1=${READY} exec zsh -f -i`, begin: (script) => `autoload -U compinit; compinit -u -D; source ${script}` },
  fish: {
    command: `exec fish --no-config --init-command 'function fish_prompt; echo -n ${READY}; end' -i`,
    begin: (script) => `source ${script}`,
  },
};

/** Each line with what is run when Enter follows: all that stands after a TAB is what the shell made of it. */
const lines: { typed: string; runs: string[] }[] = [
  { typed: `peapod lo${TAB}we${TAB}-c si${TAB}`, runs: ["logs", "web", "-c", "side"] },
  { typed: `peapod exec -n defa${TAB}web -c ma${TAB}ls`, runs: ["exec", "-n", "default", "web", "-c", "main", "ls"] },
  { typed: `peapod image rm apt.local/busybox:${suite.slice(0, 2)}${TAB}`, runs: ["image", "rm", image] },
  { typed: `peapod companion amb${TAB}`, runs: ["companion", "ambassador"] },
  { typed: `peapod fields pod.sp${TAB}contai${TAB}imageP${TAB}`, runs: ["fields", "pod.spec.containers.imagePullPolicy"] },
  { typed: `peapod ps --output=j${TAB}`, runs: ["ps", "--output=json"] },
  { typed: `peapod up some-mani${TAB}`, runs: ["up", "some-manifest.yaml"] },
];

/** Types the lines into a shell, one after the other, and gives what each ran. */
async function typeInto(engine: TestEngine, t: TestScope, shell: string): Promise<string[]> {
  const { command, begin } = shells[shell] ?? assert.fail(shell);
  const script = engine.file(`completion.${shell}`, await engine.peapod("completion", shell));
  const folder = dirname(engine.file("some-manifest.yaml", ""));
  const program = engine.file(
    "bin/peapod",
    `#!/bin/sh\n[ "$1" = __complete ] && exec ${peapod} "$@"\nprintf RAN; printf '[%s]' "$@"; echo :END\n`,
  );
  chmodSync(program, 0o755);
  const child = spawn("script", ["--quiet", "--command", `stty cols 200 rows 50; ${command}`, "/dev/null"], {
    cwd: folder,
    env: { ...engine.environment, PATH: `${dirname(program)}:${engine.environment["PATH"] ?? ""}`, TERM: "xterm", HOME: folder },
    stdio: ["pipe", "pipe", "inherit"],
    signal: t.signal,
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  let shown = "";
  child.stdout.on("data", (chunk: Buffer) => (shown += chunk.toString()));
  const ran = (): string[] => [...shown.matchAll(/RAN(\[[^\r\n]*\]):END/g)].map(([, words]) => words ?? "");
  await eventually(() => assert.ok(shown.includes(READY)), { withinMs: 20_000 });
  child.stdin.write(`${begin(script)}\r`);
  for (const [index, { typed }] of lines.entries()) {
    child.stdin.write(`${typed}\r`);
    await eventually(() => assert.equal(ran().length, index + 1, `${shell} shows ${JSON.stringify(shown.slice(-500))}`), {
      withinMs: 30_000,
    });
  }
  child.stdin.write("exit\r");
  await ended;
  return ran();
}

test("bash, zsh and fish complete pods, containers, namespaces, images, companions, field paths, flags and files", async (t) => {
  const engine = await startEngine(t);
  await applyReady(engine, pod("web", { containers: [idle("main", { image }), idle("side", { image })] }), "web");
  const ran = await Promise.all(Object.keys(shells).map((shell) => typeInto(engine, t, shell)));
  const want = lines.map(({ runs }) => runs.map((word) => `[${word}]`).join(""));
  assert.deepEqual(ran, [want, want, want]);
});
