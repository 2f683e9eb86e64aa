import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { type CodeBlock, codeBlocks, documents } from "../tools/markdown-blocks.ts";
import { inReverse, KUBECTL, peapod, startEngine } from "./engine-fixture.ts";

const LIMIT_MS = 120_000;

for (const path of documents()) {
  const blocks = codeBlocks(path);
  const commands = blocks.filter(({ language, notRun }) => language === "sh" && notRun === undefined);
  if (commands.length === 0) continue;
  test(`the commands of ${path} do what it says`, async (t) => {
    const scope = inReverse(t);
    const engine = await startEngine(scope);
    const folder = workingFolder(engine.stateDir);
    scope.after(() => rmSync(folder, { recursive: true, force: true }));
    let said = "";
    for (const block of blocks) {
      if (block.file !== undefined) writeFileSync(join(folder, block.file), block.text);
      if (commands.includes(block)) said = await runBlock(block, folder);
      if (block.language === "text") expectOutput(block, said);
    }

    async function runBlock({ place, text }: CodeBlock, cwd: string): Promise<string> {
      const script = `cd '${cwd}' && PATH='${cwd}/bin':$PATH && set -eu\n${text}`;
      const { exitCode, stdout, stderr } = await engine.command("sh", ["-c", script], { timeoutMs: LIMIT_MS });
      assert.equal(exitCode, 0, `${place} exited with ${exitCode}: ${stdout}${stderr}`);
      return stdout;
    }
  });
}

/** A folder with what a reader has at hand: the checkout's launcher and examples, and kubectl and peapod on the PATH. */
function workingFolder(stateDir: string): string {
  const folder = mkdtempSync(join(dirname(stateDir), "documents-"));
  mkdirSync(join(folder, "bin"));
  symlinkSync(peapod, join(folder, "peapod"));
  symlinkSync(peapod, join(folder, "bin/peapod"));
  symlinkSync(KUBECTL, join(folder, "bin/kubectl"));
  cpSync(join(dirname(peapod), "examples"), join(folder, "examples"), { recursive: true });
  return folder;
}

/** Each line is in the output; `…` stands for anything. */
function expectOutput({ place, text }: CodeBlock, said: string): void {
  for (const line of text.trim().split("\n")) {
    const pattern = line
      .trim()
      .split("…")
      .map((part) => RegExp.escape(part).replace(/(?:\\x20|\s)+/g, String.raw`\s+`));
    assert.match(said, new RegExp(pattern.join(".*")), `${place} is not what the commands before it said`);
  }
}
