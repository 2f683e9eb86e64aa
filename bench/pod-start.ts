import { rmSync } from "node:fs";
import { parseArgs } from "node:util";
import { Scope } from "@peapod/kit";
import { makeFolder, startEngine } from "./engine.ts";
import { prepareFloor } from "./floor.ts";
import { preparePodman } from "./podman.ts";
import { median, seconds } from "./statistics.ts";
import { createUntilRunning, deleteUntilGone, IMAGE, threeContainers } from "./three-containers.ts";

/** How long a pod of three containers takes from creation until all run: peapod, `podman kube play`, and the bare runtime. */
export async function podStart(args: readonly string[], signal: AbortSignal): Promise<void> {
  const rounds = Math.max(3, Number(parseArgs({ args: [...args], options: { rounds: { type: "string", default: "15" } } }).values.rounds));
  await using scope = new Scope();
  const folder = makeFolder();
  scope.defer(() => rmSync(folder, { recursive: true, force: true }));
  const engine = await startEngine(scope, signal);
  process.stdout.write(`Preparing: image ${IMAGE}\n`);
  await engine.peapod("image", "pull", IMAGE);
  const peapod = async (round: number): Promise<number> => {
    const name = `bench-${round}`;
    const tookMs = await createUntilRunning(engine.client, threeContainers(name), signal);
    await deleteUntilGone(engine.client, name, signal);
    return tookMs;
  };
  await peapod(-1);
  const floor = await prepareFloor(engine, folder, scope, signal);
  const podman = await preparePodman(floor.rootfs, floor.runtime, folder, scope, signal);
  const contenders = { peapod, podman: () => podman.start(), floor: () => floor.start() };
  const results: Record<keyof typeof contenders, number[]> = { peapod: [], podman: [], floor: [] };
  for (const contender of Object.values(contenders)) await contender(0); // one warm-up each, not counted
  for (let round = 1; round <= rounds; round++) {
    for (const name of ["peapod", "podman", "floor"] as const) results[name].push(await contenders[name](round));
    process.stdout.write(
      `round ${round}: ${(["peapod", "podman", "floor"] as const).map((name) => `${name} ${results[name].at(-1)?.toFixed(0)} ms`).join(", ")}\n`,
    );
  }
  const ratio = (peer: "podman" | "floor"): number => median(results.peapod.map((ms, index) => ms / (results[peer][index] ?? Number.NaN)));
  process.stdout.write(`
Three containers of one image, ${floor.runtime}, ${podman.description}, ${rounds} rounds, median (least to most):
  peapod             ${seconds(results.peapod)}
  podman kube play   ${seconds(results.podman)}
  floor              ${seconds(results.floor)}
peapod / podman  ${ratio("podman").toFixed(2)}  (aim: at most 0.30)
peapod / floor   ${ratio("floor").toFixed(2)}  (aim: at most 1.9)
`);
}
