import { run } from "@peapod/kit";

/** Makes folders in folders in `path`, deeper than any path can name, with a file at the end. */
export async function nestFolders(path: string, signal: AbortSignal): Promise<void> {
  const nest = 'for (1..600) { mkdir("a" x 10) && chdir("a" x 10) or die "$!" } open(my $file, ">", "file") or die';
  await run("perl", ["-e", nest], { signal, cwd: path });
}
