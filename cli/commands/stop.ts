import { pods } from "@peapod/api";
import { delay } from "@peapod/kit";
import { CliError, exitCodes } from "../cli-error.ts";
import type { Invocation } from "../command.ts";
import { connectLocal } from "../connection.ts";
import { deleteAndWait } from "../delete-object.ts";
import { findEngine, isAlive } from "../engine-process.ts";

const STOP_WITHIN_MS = 60_000;

/** `peapod stop`: ends the local engine and waits until it is gone; its pods go on running unless they are to be deleted. */
export async function stop({ config, flags, terminal, signal }: Invocation): Promise<number> {
  const engine = await findEngine(config);
  if (engine === undefined) {
    terminal.note("No engine is running");
    return exitCodes.success;
  }
  using client = await connectLocal(config, signal);
  let { items } = await client.list(pods, {}, signal);
  if (flags.boolean("delete-pods")) {
    await Promise.all(
      items.map(async (object) => {
        await deleteAndWait(client, { resource: pods, object }, {}, signal);
        terminal.line(`pod/${object.metadata.name} deleted`);
      }),
    );
    items = [];
  }
  await client.request({ method: "POST", path: "/peapod.dev/v1/engine/stop" }, signal);
  const deadline = performance.now() + STOP_WITHIN_MS;
  while (await isAlive(engine.pid)) {
    if (performance.now() > deadline)
      throw new CliError(`The engine (process ${engine.pid}) has not ended after ${STOP_WITHIN_MS / 1000} s`);
    await delay(20, signal);
  }
  const left = items.filter(({ status }) => status?.phase === "Running" || status?.phase === "Pending").length;
  const rest = left === 0 ? "" : `; ${left === 1 ? "one pod goes" : `${left} pods go`} on running, and the next engine takes over`;
  terminal.line(`Engine stopped${rest}`);
  return exitCodes.success;
}
