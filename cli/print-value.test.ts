import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { LargeInteger } from "@peapod/api";
import { Flags } from "./arguments.ts";
import { printValue } from "./print-value.ts";
import { Terminal } from "./terminal.ts";

test("printValue() writes whole numbers of any length as they are", async () => {
  const value = { a: new LargeInteger("9007199254740993"), b: [new LargeInteger("-9223372036854775808"), 7] };
  const printed = async (output: string): Promise<string> => {
    const stdout = new PassThrough();
    const terminal = new Terminal({ stdout, stderr: new PassThrough(), noColor: true });
    await printValue(
      { terminal, flags: new Flags([{ name: "output", kind: "string", value: "FORMAT", about: "" }], new Map([["output", output]])) },
      value,
    );
    return String(stdout.read());
  };
  assert.equal(await printed("yaml"), "a: 9007199254740993\nb:\n  - -9223372036854775808\n  - 7\n");
  assert.equal((await printed("json")).replaceAll(/\s/g, ""), '{"a":9007199254740993,"b":[-9223372036854775808,7]}');
});
