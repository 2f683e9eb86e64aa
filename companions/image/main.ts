/**
 * Makes a companion's image: Node.js, the libraries it needs, and the companion as a bundle, with one more for each of its threads.
 * usage: node companions/image/main.ts COMPANION --layout FOLDER --name IMAGE | --archive FILE --name IMAGE | --list
 *   --layout FOLDER   write an OCI layout into a folder, which must not be there
 *   --archive FILE    write an OCI archive, for `skopeo copy oci-archive:FILE docker://REGISTRY/NAME` and `podman load`
 * Exit status: 0 made; 64 a mistake in the arguments; 1 anything else, with the reason on standard error.
 */
import { parseArgs } from "node:util";
import { CommandError, Scope, untilSignal, messageOf } from "@peapod/kit";
import { buildImage } from "./build-image.ts";
import { companions, findCompanion } from "../companions.ts";

const EXIT_USAGE = 64;

process.umask(0o022); // whatever the user's is: folders keep their modes in the image, where others read them
process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const parsed = parse(args);
  if (typeof parsed === "string") return fail(parsed, EXIT_USAGE);
  if (parsed.list) {
    for (const { name } of companions()) process.stdout.write(`${name}\n`);
    return 0;
  }
  const companion = findCompanion(parsed.companion);
  if (companion === undefined) {
    const known = companions().map(({ name }) => name);
    return fail(`There is no companion "${parsed.companion}": known are ${known.join(", ")}`, EXIT_USAGE);
  }
  await using scope = new Scope();
  const stop = new AbortController();
  void untilSignal(["SIGINT", "SIGTERM"], scope.signal).then(() => stop.abort(new Error("Interrupted")));
  try {
    await buildImage(companion, parsed.target, { imageName: parsed.imageName, onStep: say, signal: stop.signal });
    return 0;
  } catch (error) {
    if (error instanceof CommandError || stop.signal.aborted) return fail(messageOf(error), 1);
    throw error;
  }
}

type Parsed =
  | { readonly list: true }
  | {
      readonly list: false;
      readonly companion: string;
      readonly imageName: string;
      readonly target: { readonly kind: "layout" | "archive"; readonly path: string };
    };

function parse(args: readonly string[]): Parsed | string {
  const string = { type: "string" } as const;
  const options = { layout: string, archive: string, name: string, list: { type: "boolean" } } as const;
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    if (values.list === true) return { list: true };
    const [companion, ...more] = positionals;
    const path = values.layout ?? values.archive;
    if (companion === undefined || more.length > 0) return "Name one companion";
    if (path === undefined || (values.layout !== undefined && values.archive !== undefined))
      return "Say where: --layout FOLDER or --archive FILE";
    if (values.name === undefined) return "Say what the image is called: --name IMAGE";
    return { list: false, companion, imageName: values.name, target: { kind: values.layout === undefined ? "archive" : "layout", path } };
  } catch (error) {
    return messageOf(error);
  }
}

function say(message: string): void {
  process.stderr.write(`${message}\n`);
}

function fail(message: string, exitCode: number): number {
  say(message);
  return exitCode;
}
