import { companions } from "../companions/companions.ts";
import { configSchema } from "../companions/ambassador/config/config-schema.ts";
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { parseManifest } from "../cli/manifest.ts";
import { parseConfig } from "../companions/frame/config/parse-config.ts";
import { sourceFiles } from "./layers.ts";
import { codeBlocks, documents, headings, relativeLinks } from "./markdown-blocks.ts";
import { root } from "./steps.ts";

const blocks = documents().flatMap(codeBlocks);
const yamlBlocks = blocks.filter(({ language }) => language === "yaml");
const isConfiguration = ({ text }: { readonly text: string }): boolean => /^listeners:/m.test(text);

for (const { place, text } of yamlBlocks.filter(isConfiguration)) {
  test(`the configuration at ${place} is one that the ambassador takes`, () => {
    assert.ok(parseConfig(configSchema, text, place).listeners.length > 0);
  });
}

for (const { place, text } of yamlBlocks.filter((block) => !isConfiguration(block))) {
  test(`the manifest at ${place} is one that the engine takes`, () => {
    assert.deepEqual(parseManifest([{ name: place, text }], { forEngine: true }).problems, []);
  });
}

test("every code block is of a language that a test knows what to do with", () => {
  const known = ["sh", "yaml", "text", "ini", ""];
  assert.deepEqual(
    blocks.filter(({ language }) => !known.includes(language)).map(({ place }) => place),
    [],
  );
});

test("every relative link of a document leads somewhere", () => {
  const broken = documents().flatMap((document) =>
    relativeLinks(document)
      .filter(({ path, heading }) => {
        const target = path === "" ? document : join(dirname(document), path);
        return !existsSync(join(root, target)) || (heading !== "" && !headings(target).includes(heading));
      })
      .map(({ path, heading }) => `${document}: ${path}#${heading}`),
  );
  assert.deepEqual(broken, []);
});

test("every file that the page on extending leads to stands in a layer", () => {
  const files = relativeLinks("docs/extending.md")
    .map(({ path }) => join("docs", path))
    .filter((path) => path.endsWith(".ts"));
  assert.ok(files.length > 20);
  const known = sourceFiles();
  assert.deepEqual(
    files.filter((file) => !known.includes(file)),
    [],
  );
});

test("every companion has its place in the map of the code", () => {
  const map = headings("docs/architecture.md");
  for (const { name } of companions())
    assert.ok(
      map.some((heading) => heading.startsWith(`companions${name}`)),
      name,
    );
});

test("decision records are numbered without gaps", () => {
  const numbers = readdirSync(join(root, "docs/decisions")).map((name) => Number(name.slice(0, 4)));
  assert.deepEqual(
    numbers.toSorted((a, b) => a - b),
    numbers.map((_, index) => index + 1),
  );
});
