import { access } from "node:fs/promises";
import { type KubeObject, pods } from "@peapod/api";
import { inOrder } from "../apply.ts";
import { inNamespace, nameOf } from "../object-name.ts";
import { CliError, exitCodes } from "../cli-error.ts";
import type { Invocation } from "../command.ts";
import { connect } from "../connection.ts";
import { deleteAndWait } from "../delete-object.ts";
import { type ManifestObject, parseManifest } from "../manifest.ts";
import { readSources } from "../manifest-source.ts";

/**
 * `peapod down`: deletes pods by name, and every object of a manifest, and waits until they are gone. A mistake in a field is no reason to
 * leave it running. What a manifest names need not be there; a name that was typed must.
 */
export async function down(invocation: Invocation): Promise<number> {
  const { flags, positionals, terminal, signal } = invocation;
  const typed = await podNames(positionals);
  const files = [...flags.list("file"), ...positionals.filter((word) => !typed.has(word))];
  const sources = files.length === 0 && typed.size > 0 ? [] : await readSources(files, signal);
  const { objects, problems } = parseManifest(sources, { forEngine: false });
  const named = [...objects.filter(({ object }) => object.metadata.name !== undefined), ...typed.values()];
  if (named.length === 0 && problems.length > 0) throw new CliError(problems.join("\n"));
  for (const problem of problems) terminal.warn(problem);
  using connection = await connect(invocation);
  const gracePeriodSeconds = flags.number("grace-period");
  const options = gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds };
  const missing: string[] = [];
  // What uses the others goes first, all of a kind at once.
  const groups = Map.groupBy(inOrder(named).toReversed(), ({ resource }) => resource.kind);
  for (const group of groups.values()) {
    await Promise.all(
      group.map(async (item) => {
        const target: { resource: typeof item.resource; object: KubeObject } = inNamespace(item, connection.namespace);
        const wasThere = await deleteAndWait(connection.client, target, options, signal);
        if (!wasThere && [...typed.values()].includes(item)) missing.push(item.object.metadata.name ?? "");
        else terminal.line(wasThere ? `${nameOf(item)} deleted` : `${nameOf(item)} was not there`);
      }),
    );
  }
  if (missing.length > 0)
    throw new CliError(`No pod ${missing.join(", ")} in namespace ${connection.namespace}, and no such file or folder`);
  return exitCodes.success;
}

/** The words that are pods' names: `pod/web`, and `web` where no file is called so. A path, a URL and `x.yaml` are none. */
async function podNames(words: readonly string[]): Promise<Map<string, ManifestObject>> {
  const found = new Map<string, ManifestObject>();
  for (const word of words) {
    const name = word.replace(/^pods?\//, "");
    if (!/^[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?$/.test(name) || /\.(?:ya?ml|json)$/.test(word)) continue;
    if (name === word && (await isThere(word))) continue;
    found.set(word, { resource: pods, object: { apiVersion: "v1", kind: pods.kind, metadata: { name } } });
  }
  return found;
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
