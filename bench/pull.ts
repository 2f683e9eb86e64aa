import { createHash } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { run, Scope } from "@peapod/kit";
import { type FixtureEntry, makeTar, writeLayout } from "../engine/images/layout.fixture.ts";
import { push, startRegistry } from "../engine/images/registry/registry.fixture.ts";
import { makeFolder, startEngine } from "./engine.ts";
import { installPodman, unmountBelow } from "./podman.ts";
import { median, seconds } from "./statistics.ts";

const LAYERS = 20;
const FILES_OF_A_LAYER = 150;
const BYTES_OF_A_FILE = 32 * 1024;

/**
 * How long a pull of an image of twenty layers takes, none of them there: peapod, podman, and what moves the blobs for peapod by itself
 * (skopeo into an OCI layout). With `--before DIR` the engine of another checkout, too.
 */
export async function pull(args: readonly string[], signal: AbortSignal): Promise<void> {
  const options = { rounds: { type: "string", default: "7" }, before: { type: "string" } } as const;
  const { values } = parseArgs({ args: [...args], options });
  const rounds = Math.max(3, Number(values.rounds));
  await using scope = new Scope();
  const folder = makeFolder();
  scope.defer(() => rmSync(folder, { recursive: true, force: true }));
  await installPodman(signal);
  const image = `${await startRegistry(folder, scope)}/bench/twenty:1`;
  process.stdout.write(`Preparing: an image of ${LAYERS} layers\n`);
  await writeLayout(join(folder, "layout"), [{ layers: await makeLayers() }]);
  await push(`oci:${join(folder, "layout")}`, image);
  const contenders: Record<string, () => Promise<number>> = {
    peapod: await preparePeapod(image, scope, signal),
    ...(values.before === undefined ? {} : { before: await preparePeapod(image, scope, signal, join(resolve(values.before), "peapod")) }),
    podman: preparePodmanPull(image, folder, scope, signal),
    skopeo: prepareDownload(image, folder, signal),
  };
  const results = new Map<string, number[]>(Object.keys(contenders).map((name) => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, contender] of Object.entries(contenders)) {
      await run("sync", [], { signal }); // nobody is to wait for what another has left to be written
      const tookMs = await contender();
      if (round > 0) results.get(name)?.push(tookMs); // the first is to warm up
    }
    const line = [...results].map(([name, each]) => `${name} ${each.at(-1)?.toFixed(0)} ms`).join(", ");
    process.stdout.write(round === 0 ? "warm\n" : `round ${round}: ${line}\n`);
  }
  const peapod = results.get("peapod") ?? [];
  process.stdout.write(`\nAn image of ${LAYERS} layers from a registry on this machine, ${rounds} rounds, median (least to most):\n`);
  for (const [name, each] of results) {
    const ratio = median(peapod.map((ms, index) => ms / (each[index] ?? Number.NaN)));
    process.stdout.write(`  ${name.padEnd(8)} ${seconds(each)}${name === "peapod" ? "" : `  peapod / ${name} ${ratio.toFixed(2)}`}\n`);
  }
}

/** Layers as images have them: folders of files, half of which does not compress, and a few entries for what lies below. */
async function makeLayers(): Promise<Buffer[]> {
  const layers: Buffer[] = [];
  for (let layer = 0; layer < LAYERS; layer += 1) {
    const entries: FixtureEntry[] = [{ name: `opt/layer${layer}/`, type: "directory", mode: 0o755 }];
    for (let file = 0; file < FILES_OF_A_LAYER; file += 1) {
      entries.push({ name: `opt/layer${layer}/folder${file % 10}/file${file}`, content: contentOf(`${layer}/${file}`) });
    }
    entries.push({ name: "etc/version", content: String(layer) }); // replaces the one below
    layers.push(await makeTar(entries));
  }
  return layers;
}

/** The same bytes for the same seed: the first half like noise, the second of one letter. */
function contentOf(seed: string): Buffer {
  const content = Buffer.alloc(BYTES_OF_A_FILE, "a");
  let block: Buffer = Buffer.from(seed);
  for (let at = 0; at < BYTES_OF_A_FILE / 2; at += block.length) {
    block = createHash("sha512").update(block).digest();
    block.copy(content, at);
  }
  return content;
}

async function preparePeapod(image: string, scope: Scope, signal: AbortSignal, launcher?: string): Promise<() => Promise<number>> {
  const engine = await startEngine(scope, signal, launcher);
  return async () => {
    const tookMs = await measured(() => engine.peapod("image", "pull", image));
    await engine.peapod("image", "rm", image);
    return tookMs;
  };
}

/** In storage of its own: nothing of the machine's podman is used or changed. */
function preparePodmanPull(image: string, folder: string, scope: Scope, signal: AbortSignal): () => Promise<number> {
  const own = (name: string): string => join(folder, name);
  const places = ["--root", own("podman"), "--runroot", own("podman-run"), "--tmpdir", own("podman-tmp"), "--storage-driver", "overlay"];
  const podman = (...args: readonly string[]): Promise<unknown> =>
    run("podman", [...places, ...args], { signal, timeoutMs: 120_000, env: { ...(process.env as Record<string, string>) } }); // a set variable is a string
  scope.defer(() => unmountBelow(folder));
  return async () => {
    const tookMs = await measured(() => podman("pull", "--quiet", "--tls-verify=false", image));
    await podman("rmi", "--force", image);
    return tookMs;
  };
}

function prepareDownload(image: string, folder: string, signal: AbortSignal): () => Promise<number> {
  const layout = join(folder, "download");
  return async () => {
    mkdirSync(layout);
    const args = ["--insecure-policy", "copy", "--quiet", "--src-tls-verify=false", `docker://${image}`, `oci:${layout}:image`];
    const tookMs = await measured(() => run("skopeo", args, { signal, timeoutMs: 120_000 }));
    rmSync(layout, { recursive: true });
    return tookMs;
  };
}

async function measured(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}
