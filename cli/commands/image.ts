import { resolve } from "node:path";
import { ApiError } from "@peapod/client";
import { CliError, exitCodes, usageError } from "../cli-error.ts";
import type { Invocation, Run } from "../command.ts";
import { connect, type Connection } from "../connection.ts";
import { printValue } from "../print-value.ts";
import { type PullStep, PullView } from "../pull-view.ts";
import { formatAge, formatBytes, formatTable } from "../table.ts";

/** An image as the engine lists it. */
interface ListedImage {
  readonly id: string;
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
  readonly sizeBytes: number;
  readonly createdAtMs: number;
}

const IMAGES = "/peapod.dev/v1/images";

/** `peapod image list|pull|load|rm|prune`. */
export const imageCommands = { list, pull, load, rm, prune } as const satisfies Record<string, Run>;

/** Every image of the engine's. */
export async function listImages({ client }: Connection, signal: AbortSignal): Promise<readonly ListedImage[]> {
  return ((await client.request({ method: "GET", path: IMAGES }, signal)) as { images: ListedImage[] }).images; // the engine's own words
}

async function list(invocation: Invocation): Promise<number> {
  using connection = await connect(invocation);
  const images = await listImages(connection, invocation.signal);
  if (invocation.flags.string("output") !== undefined) return await printValue(invocation, images);
  const rows = images.flatMap((image) => {
    const names = image.repoTags.length > 0 ? image.repoTags : image.repoDigests.length > 0 ? image.repoDigests.slice(0, 1) : ["<none>"];
    return names.map((name) => [name, shortId(image.id), formatBytes(image.sizeBytes), formatAge(Date.now() - image.createdAtMs)]);
  });
  invocation.terminal.write(
    formatTable(
      ["IMAGE", "ID", "SIZE", "AGE"],
      rows.toSorted((left, right) => ((left[0] ?? "") < (right[0] ?? "") ? -1 : 1)),
    ),
  );
  return exitCodes.success;
}

async function pull(invocation: Invocation): Promise<number> {
  if (invocation.positionals.length === 0) throw usageError("Name an image, such as docker.io/library/nginx:1.27 or apt.local/nginx");
  using connection = await connect(invocation);
  const view = new PullView(invocation.terminal);
  await Promise.all(
    invocation.positionals.map(async (reference) => {
      const last = await steps(connection, invocation, "pull", { reference }, view);
      invocation.terminal.line((last as { name: string }).name);
    }),
  ).finally(() => view.clear());
  return exitCodes.success;
}

async function load(invocation: Invocation): Promise<number> {
  const [path, ...more] = invocation.positionals;
  if (path === undefined || more.length > 0) throw usageError("Name one file or folder to load");
  const reference = invocation.flags.string("name");
  using connection = await connect(invocation);
  const view = new PullView(invocation.terminal);
  try {
    const body = { path: resolve(path), ...(reference === undefined ? {} : { reference }) };
    const { images } = (await steps(connection, invocation, "load", body, view)) as { images: { id: string; names: string[] }[] };
    for (const { id, names } of images) for (const name of names.length > 0 ? names : [id]) invocation.terminal.line(name);
  } finally {
    view.clear();
  }
  return exitCodes.success;
}

async function rm(invocation: Invocation): Promise<number> {
  const { positionals, terminal, signal } = invocation;
  if (positionals.length === 0) throw usageError("Name an image to remove");
  using connection = await connect(invocation);
  let exitCode: number = exitCodes.success;
  for (const reference of positionals) {
    try {
      const answer = await connection.client.request({ method: "DELETE", path: IMAGES, query: { reference } }, signal);
      const { untagged, deleted } = answer as { untagged: string[]; deleted: string[] };
      for (const name of untagged) terminal.line(`Untagged ${name}`);
      for (const id of deleted) terminal.line(`Deleted ${id}`);
    } catch (cause) {
      if (!(cause instanceof ApiError)) throw cause;
      terminal.note(`${terminal.paintNote("red", "peapod:")} ${cause.message}`);
      exitCode = exitCodes.failure;
    }
  }
  return exitCode;
}

async function prune(invocation: Invocation): Promise<number> {
  using connection = await connect(invocation);
  const body = { all: invocation.flags.boolean("all") };
  const answer = await connection.client.request({ method: "POST", path: `${IMAGES}/prune`, body }, invocation.signal);
  const { deleted, freedBytes } = answer as { deleted: string[]; freedBytes: number };
  for (const id of deleted) invocation.terminal.line(`Deleted ${id}`);
  invocation.terminal.line(`${deleted.length} ${deleted.length === 1 ? "image" : "images"} removed, ${formatBytes(freedBytes)} won back`);
  return exitCodes.success;
}

/** Shows the steps of a pull or load, and gives its last line. */
async function steps(
  connection: Connection,
  { signal }: Invocation,
  verb: "pull" | "load",
  body: unknown,
  view: PullView,
): Promise<unknown> {
  for await (const line of connection.client.requestLines({ method: "POST", path: `${IMAGES}/${verb}`, body }, signal)) {
    const step = line as PullStep | { name: string } | { images: unknown[] } | { error: { message: string } }; // the engine's own
    if ("error" in step) throw new CliError(step.error.message);
    if ("phase" in step) view.show(step);
    else return step;
  }
  throw new CliError("The engine ended before the image was here");
}

function shortId(id: string): string {
  return id.replace(/^sha256:/, "").slice(0, 12);
}
