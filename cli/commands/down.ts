import { type KubeObject } from "@peapod/api";
import { inOrder } from "../apply.ts";
import { inNamespace, nameOf } from "../object-name.ts";
import { CliError, exitCodes } from "../cli-error.ts";
import type { Invocation } from "../command.ts";
import { connect } from "../connection.ts";
import { deleteAndWait } from "../delete-object.ts";
import { parseManifest } from "../manifest.ts";
import { readSources } from "../manifest-source.ts";

/** `peapod down`: deletes every object of a manifest and waits until it is gone. A mistake in a field is no reason to leave it running. */
export async function down(invocation: Invocation): Promise<number> {
  const { flags, positionals, terminal, signal } = invocation;
  const sources = await readSources([...flags.list("file"), ...positionals], signal);
  const { objects, problems } = parseManifest(sources, { forEngine: false });
  const named = objects.filter(({ object }) => object.metadata.name !== undefined);
  if (named.length === 0 && problems.length > 0) throw new CliError(problems.join("\n"));
  for (const problem of problems) terminal.warn(problem);
  using connection = await connect(invocation);
  const gracePeriodSeconds = flags.number("grace-period");
  const options = gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds };
  // What uses the others goes first, all of a kind at once.
  const groups = Map.groupBy(inOrder(named).toReversed(), ({ resource }) => resource.kind);
  for (const group of groups.values()) {
    await Promise.all(
      group.map(async (item) => {
        const target: { resource: typeof item.resource; object: KubeObject } = inNamespace(item, connection.namespace);
        const wasThere = await deleteAndWait(connection.client, target, options, signal);
        terminal.line(wasThere ? `${nameOf(item)} deleted` : `${nameOf(item)} was not there`);
      }),
    );
  }
  return exitCodes.success;
}
