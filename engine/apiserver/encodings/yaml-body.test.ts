import assert from "node:assert/strict";
import { test } from "node:test";
import { StatusError } from "../errors.ts";
import { readYaml } from "./yaml-body.ts";

test("readYaml() takes what clients of Kubernetes may send", async () => {
  const cases: { body: Buffer; want: unknown }[] = [
    { body: Buffer.from(""), want: null },
    { body: Buffer.from(String.raw`a: "it\'s"`), want: { a: "it's" } },
    { body: Buffer.from("\ufeffa: \u00e4\n", "utf16le"), want: { a: "\u00e4" } },
    { body: Buffer.from("\ufeff---\r\na: |\r\n  b\r\n"), want: { a: "b\n" } },
    { body: Buffer.from("a: !!binary aGVsbG8="), want: { a: "hello" } },
    { body: Buffer.from("a: 1\na: 2"), want: { a: 2 } },
  ];
  for (const { body, want } of cases) assert.deepEqual(await readYaml(body), want);
});

test("readYaml() refuses what JSON cannot say", async () => {
  for (const body of ["a: {b: c}: d", "{a: b}: c", "? [a]\n: b", "~: a", "a: .inf", "a: 1\n---\na: 2", "a: \xff"]) {
    await assert.rejects(
      readYaml(Buffer.from(body, "latin1")),
      (error) => error instanceof StatusError && error.status.code === 400 && error.message.includes("the body is not YAML"),
      body,
    );
  }
});
