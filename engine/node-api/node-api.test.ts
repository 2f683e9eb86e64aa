import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { createLogger, eventually } from "@peapod/kit";
import { open } from "../apiserver/http/asking.fixture.ts";
import { serving } from "../apiserver/http/serving.fixture.ts";
import { EngineError } from "../errors.ts";
import type { Image, ImageService, LoadedImage, PullProgress } from "../images/images.ts";
import { nodeApi } from "./node-api.ts";

const image: Image = {
  id: "sha256:1",
  repoTags: ["nginx:1"],
  repoDigests: [],
  sizeBytes: 1,
  createdAtMs: 0,
  config: { entrypoint: [], cmd: [], env: [], user: "", workingDir: "", stopSignal: "", volumes: [] },
};
const unused = (): never => assert.fail("not asked for here");

/** Images in memory that tell of each pull in two steps; "nothing" is not found, "slow" takes until it is aborted. */
class FakeImages implements ImageService {
  readonly asked: unknown[] = [];
  readonly #listeners = new Set<(step: PullProgress) => void>();
  slowPulls = 0;

  listImages = async (): Promise<Image[]> => [image];
  pullImage = async (reference: string, signal: AbortSignal): Promise<Image> => {
    if (reference === "nothing") throw new EngineError("IMAGE_NOT_FOUND", 'No image "nothing"');
    if (reference === "slow") {
      this.slowPulls += 1;
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      this.slowPulls -= 1;
      throw signal.reason;
    }
    if (reference === "broken") throw new Error("a bug");
    this.#tell({ reference: "other", phase: "downloading", message: "" });
    this.#tell({ reference, phase: "downloading", message: "1 of 2 layers" });
    await new Promise(setImmediate);
    return image;
  };
  loadImages = async (path: string, options: object): Promise<LoadedImage[]> => {
    this.asked.push([path, options]);
    return [{ ...image, names: ["loaded:1"] }];
  };
  removeImage = async (reference: string): Promise<{ untagged: string[]; deleted: string[] }> => {
    if (reference === "broken") throw new Error("a bug");
    if (reference === "busy") throw new EngineError("IMAGE_IN_USE", "Image is in use");
    return { untagged: [reference], deleted: [] };
  };
  prune = async (options: { all: boolean }): Promise<{ deleted: string[]; freedBytes: number }> => {
    this.asked.push(options);
    return { deleted: [], freedBytes: 0 };
  };
  async *progress(signal: AbortSignal): AsyncGenerator<PullProgress> {
    const waiting: PullProgress[] = [];
    let wake = (): void => {};
    const take = (step: PullProgress): void => {
      waiting.push(step);
      wake();
    };
    this.#listeners.add(take);
    signal.addEventListener("abort", () => wake(), { once: true });
    try {
      while (!signal.aborted) {
        const step = waiting.shift();
        if (step === undefined) await new Promise<void>((resolve) => (wake = resolve));
        else yield step;
      }
    } finally {
      this.#listeners.delete(take);
    }
  }
  get listeners(): number {
    return this.#listeners.size;
  }
  completeName = (reference: string): string => `docker.io/library/${reference}`;
  imageStatus = unused;
  mountRootfs = unused;
  removeRootfs = unused;
  listRootfs = unused;
  #tell(step: PullProgress): void {
    for (const listener of this.#listeners) listener(step);
  }
}

async function start(t: TestContext) {
  const images = new FakeImages();
  let stops = 0;
  const api = nodeApi({ images, engine: { info: () => ({ version: "1" }), stop: () => (stops += 1) } });
  const logged: string[] = [];
  const log = createLogger({ level: "warn", write: (line) => void logged.push(line) });
  const served = await serving({ extensions: [api], log });
  t.after(() => served[Symbol.asyncDispose]());
  const send = async (method: string, path: string, body?: unknown) => {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    return await open(served, api.prefix + path, { method, ...(body === undefined ? {} : { body: text }) });
  };
  const ask = async (method: string, path: string, body?: unknown) => {
    const response = await send(method, path, body);
    const chunks = await response.toArray();
    const lines = Buffer.concat(chunks as Buffer[])
      .toString("utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    return { code: response.statusCode, lines };
  };
  return { images, ask, send, logged, stops: () => stops };
}

test("nodeApi() lists, removes and prunes images, and tells of the engine", async (t) => {
  const { ask, images } = await start(t);
  assert.deepEqual((await ask("GET", "images")).lines, [{ images: [image] }]);
  assert.deepEqual((await ask("DELETE", "images?reference=nginx:1")).lines, [{ untagged: ["nginx:1"], deleted: [] }]);
  assert.deepEqual((await ask("POST", "images/prune", { all: true })).lines, [{ deleted: [], freedBytes: 0 }]);
  assert.deepEqual((await ask("POST", "images/prune")).code, 200);
  assert.deepEqual(images.asked, [{ all: true }, { all: false }]);
  assert.deepEqual((await ask("GET", "engine")).lines, [{ version: "1" }]);
});

test("nodeApi() pulls with the steps of that pull alone, and then what it came to", async (t) => {
  const { ask, images } = await start(t);
  assert.deepEqual((await ask("POST", "images/pull", { reference: "nginx:1" })).lines, [
    { reference: "nginx:1", phase: "downloading", message: "1 of 2 layers" },
    { image, name: "docker.io/library/nginx:1" },
  ]);
  const { lines } = await ask("POST", "images/pull", { reference: "nothing" });
  assert.deepEqual(
    lines.map(({ error }) => error),
    [{ kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message: 'No image "nothing"', reason: "NotFound", code: 404 }],
  );
  await eventually(() => assert.equal(images.listeners, 0), { withinMs: 1_000 });
});

test("nodeApi() loads from a path", async (t) => {
  const { ask, images } = await start(t);
  assert.deepEqual((await ask("POST", "images/load", { path: "/tmp/a.tar", reference: "a:1" })).lines, [
    { images: [{ ...image, names: ["loaded:1"] }] },
  ]);
  assert.deepEqual(images.asked, [["/tmp/a.tar", { reference: "a:1" }]]);
});

test("nodeApi() ends a pull whose client went away", async (t) => {
  const { send, images, logged } = await start(t);
  const response = await send("POST", "images/pull", { reference: "slow" });
  await eventually(() => assert.equal(images.slowPulls, 1), { withinMs: 1_000 });
  response.destroy();
  await eventually(() => assert.deepEqual([images.slowPulls, images.listeners], [0, 0]), { withinMs: 1_000 });
  assert.deepEqual(logged, []);
});

test("nodeApi() logs what it answers with 500, as an answer or as the last line of one", async (t) => {
  const { ask, logged } = await start(t);
  assert.equal((await ask("DELETE", "images?reference=broken")).code, 500);
  assert.match(logged[0] ?? "", /"level":"error".*"request failed".*images\?reference=broken.*a bug/);
  const { lines } = await ask("POST", "images/pull", { reference: "broken" });
  assert.deepEqual(
    lines.map(({ error }) => (error as { code: number }).code),
    [500],
  );
  assert.equal(logged.length, 2);
});

test("nodeApi() stops the engine after it has answered", async (t) => {
  const { ask, stops } = await start(t);
  assert.equal((await ask("POST", "engine/stop")).code, 202);
  await eventually(() => assert.equal(stops(), 1), { withinMs: 1_000 });
});

const refusals: { method: string; path: string; body?: unknown; code: number }[] = [
  { method: "GET", path: "nothing", code: 404 },
  { method: "GET", path: "toString", code: 404 },
  { method: "PUT", path: "images", code: 405 },
  { method: "DELETE", path: "images", code: 400 },
  { method: "DELETE", path: "images?reference=busy", code: 409 },
  { method: "POST", path: "images/pull", body: "{", code: 400 },
  { method: "POST", path: "images/pull", body: "[]", code: 400 },
  { method: "POST", path: "images/pull", body: {}, code: 400 },
  { method: "POST", path: "images/load", body: { path: "relative" }, code: 400 },
  { method: "POST", path: "images/load", body: { path: "/a", reference: 1 }, code: 400 },
  { method: "POST", path: "images/pull", body: { reference: "x".repeat(100_000) }, code: 413 },
];
for (const { method, path, body, code } of refusals) {
  test(`nodeApi() answers ${code} to ${method} ${path} ${JSON.stringify(body ?? "").slice(0, 40)}`, async (t) => {
    const { ask } = await start(t);
    const answer = await ask(method, path, body);
    assert.deepEqual([answer.code, answer.lines[0]?.["kind"]], [code, "Status"]);
  });
}
