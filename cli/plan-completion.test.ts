import assert from "node:assert/strict";
import { test } from "node:test";
import { commands } from "./commands.ts";
import { planCompletion } from "./plan-completion.ts";

const words: { line: string; want: string[] }[] = [
  { line: "ver", want: ["version"] },
  { line: "im", want: ["image"] },
  { line: "image p", want: ["pull", "prune"] },
  { line: "help image p", want: ["pull", "prune"] },
  { line: "up --ti", want: ["--timeout", "--timestamps"] },
  { line: "up pod.yaml --ti", want: ["--timeout", "--timestamps"] },
  { line: "ps -o ", want: ["json", "yaml"] },
  { line: "ps -Ao ", want: ["json", "yaml"] },
  { line: "ps --output=j", want: ["--output=json"] },
  { line: "exec web --st", want: ["--stdin", "--state-dir"] },
  { line: "exec web ls --st", want: [] },
  { line: "exec web -- --st", want: [] },
  { line: "exec web -- -c ", want: [] },
  { line: "companion ambassador --", want: [] },
  { line: "__comp", want: [] },
  { line: "nothing ", want: [] },
  { line: "up --nothing ", want: [] },
];
for (const { line, want } of words) {
  test(`planCompletion() offers words for: ${line}`, () => {
    const plan = planCompletion(commands, line.split(" "));
    const offered =
      plan.kind === "words" ? plan.words.map(({ word }) => word) : plan.what === "nothing" || plan.what === "file" ? [] : undefined;
    assert.deepEqual(offered, want);
  });
}

const questions: { line: string; want: object }[] = [
  { line: "logs w", want: { what: "pod", begun: "w" } },
  { line: "logs web ", want: { what: "nothing" } },
  { line: "ps a b", want: { what: "pod", begun: "b" } },
  { line: "down w", want: { what: "pod-or-file", begun: "w" } },
  { line: "up ", want: { what: "file" } },
  { line: "logs web -c s", want: { what: "container", begun: "s", positionals: ["web"] } },
  { line: "logs web --container=s", want: { what: "container", begun: "s", lead: "--container=", positionals: ["web"] } },
  { line: "exec -it web -c ", want: { what: "container", positionals: ["web"] } },
  { line: "exec web ", want: { what: "nothing", positionals: ["web"] } },
  { line: "ps -n k", want: { what: "namespace", begun: "k" } },
  { line: "image rm docker.io/library/n", want: { what: "image", begun: "docker.io/library/n" } },
  { line: "image build a", want: { what: "companion", begun: "a" } },
  { line: "companion a", want: { what: "companion", begun: "a" } },
  { line: "companion ambassador --config ", want: { what: "file" } },
  { line: "fields pod.sp", want: { what: "field", begun: "pod.sp" } },
  { line: "up --state-dir /v", want: { what: "folder", begun: "/v" } },
  { line: "ps --context ", want: { what: "nothing" } },
  { line: "completion ", want: { what: "shell" } },
];
for (const { line, want } of questions) {
  test(`planCompletion() asks for: ${line}`, () => {
    const plan = planCompletion(commands, line.split(" "));
    assert.ok(plan.kind === "ask");
    const { what, begun, lead, parsed } = plan;
    const found = { what, begun, lead, positionals: parsed.positionals };
    assert.deepEqual(found, { begun: "", lead: "", positionals: found.positionals, ...want });
  });
}
