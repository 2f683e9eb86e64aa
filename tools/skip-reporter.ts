import type { TestEvent } from "node:test/reporters";

/** A reporter that fails the run when a test was skipped or is to do: a check that passes by skipping is none. */
async function* skipReporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of source) {
    if (event.type !== "test:pass" && event.type !== "test:fail") continue;
    const { name, file, skip, todo } = event.data;
    if (skip === undefined && todo === undefined) continue;
    process.exitCode = 1;
    yield `A test was not run, which counts as a failure: ${name} (${file})\n`;
  }
}

// node:test takes a reporter only as a module's default export.
// oxlint-disable-next-line import/no-default-export
export default skipReporter;
