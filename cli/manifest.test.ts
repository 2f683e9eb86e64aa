import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { CliError } from "./cli-error.ts";
import { parseManifest, parsePath, requireObjects } from "./manifest.ts";

const here = (name: string): URL => new URL(`testdata/${name}`, import.meta.url);
const parse = (text: string, forEngine = true) => parseManifest([{ name: "pod.yaml", text }], { forEngine });

test("parseManifest() names file, line and path of every problem", async () => {
  const { problems } = parse(await readFile(here("bad.yaml"), "utf8"));
  const found = `${problems.join("\n")}\n`;
  if (process.env["UPDATE_GOLDEN"] === "1") await writeFile(here("bad.problems"), found);
  assert.equal(found, await readFile(here("bad.problems"), "utf8"));
});

test("parseManifest() gives the objects of documents and lists, in order", () => {
  const configMap = (name: string): string => `{apiVersion: v1, kind: ConfigMap, metadata: {name: ${name}}}`;
  const { objects, problems } = parse(
    `${configMap("a")}\n---\napiVersion: v1\nkind: List\nitems:\n- ${configMap("b")}\n- {kind: List, apiVersion: v1, items: [${configMap("c")}]}\n`,
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(
    objects.map(({ object }) => object.metadata.name),
    ["a", "b", "c"],
  );
});

test("parseManifest() refuses locally what the engine refuses, with its line", () => {
  const pod =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n  - name: web\n    image: nginx\n    livenessProbe:\n      exec: {command: [ls]}\n";
  assert.match(parse(pod).problems.join("\n"), /^pod\.yaml:8: spec\.containers\[0\]\.livenessProbe: /);
  assert.deepEqual(parse(pod, false).problems, []);
});

test("parseManifest() refuses locally what breaks a rule, with its line", () => {
  const pod =
    "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  containers:\n  - name: web\n    image: nginx\n    volumeMounts:\n    - name: data\n      mountPath: /data\n";
  assert.match(parse(pod).problems.join("\n"), /^pod\.yaml:10: spec\.containers\[0\]\.volumeMounts\[0\]\.name: /);
});

test("parseManifest() quotes what was written, so that who follows its advice has the value that was meant", () => {
  const { problems } = parse(
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: t}\ndata:\n  version: 1.10\n  mode: 010\n  hex: 0x1F\n  flag: yes\n",
  );
  assert.deepEqual(
    problems.map((problem) => /write .*$/.exec(problem)?.[0]),
    ["1.10", "010", "0x1F", "yes"].map((source) => `write "${source}" in quotes`),
  );
});

const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: t}\nspec:\n  containers:\n  - name: c\n";
const templates: { text: string; line: number; shows: string }[] = [
  { text: `${pod}    image: {{ .Image }}\n`, line: 7, shows: "{{ .Image }}" },
  {
    text: `${pod}    image: "{{ .Values.image }}:{{ .Values.tag }}"\n    command: [{{ .Command | quote }}]\n`,
    line: 8,
    shows: "{{ .Command | quote }}",
  },
  { text: `{{- if .Values.on }}\n${pod}    image: x\n{{- end }}\n`, line: 1, shows: "{{- if .Values.on }}" },
  {
    text: `{{- $a := .Values.a -}}\n${pod}    image: {{ $a }}\n    {{- with .Values.env }}\n    env: {{ toYaml . | nindent 4 }}\n    {{- end }}\n`,
    line: 1,
    shows: "{{- $a := .Values.a -}}",
  },
  { text: `${pod}    image: x\n{% if a %}\n    command: [b]\n{% endif %}\n`, line: 8, shows: "{% if a %}" },
];
for (const { text, line, shows } of templates) {
  test(`parseManifest() says in one sentence that a template was not rendered: ${shows}`, () =>
    assert.deepEqual(parse(text).problems, [
      `pod.yaml:${line}: this is a template that has not been rendered (${shows}): render it first, as helm template does for a chart`,
    ]));
}

test("parseManifest() takes braces in a value for no template, nor a fault beside them", () => {
  const settings = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: t}\ndata:\n  format: "{{ .Names }}"\n  page: |\n    {% if a %}\n';
  assert.deepEqual(parse(settings).problems, []);
  assert.match(parse(`${settings}  port: 80\n`).problems.join(), /^pod\.yaml:8: data\.port: wants a string, found the number 80/);
});

test("requireObjects() throws all problems together", () => {
  assert.throws(
    () => requireObjects(parse("kind: Pod\n---\na: [")),
    (error) => error instanceof CliError && error.message.split("\n").length >= 3,
  );
  assert.throws(() => requireObjects(parse("# nothing\n")), /The manifest has no object/);
});

test("parsePath() reads names, indexes and keys", () => {
  assert.deepEqual(parsePath("spec.containers[1].image"), ["spec", "containers", 1, "image"]);
  assert.deepEqual(parsePath("metadata.labels[app.kubernetes.io/name]"), ["metadata", "labels", "app.kubernetes.io/name"]);
});
