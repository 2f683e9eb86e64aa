import { EngineError } from "../errors.ts";

const NAME_LIMIT = 255;
const PATH_LIMIT = 4096;

/**
 * The folders and the name of a file inside a volume. Upstream's rules: relative, no `..`, no part that begins with `..` at the top
 * (the atomic writer's own names), 255 bytes a part and 4096 in all. Throws VOLUME_FAILED.
 */
export function splitFilePath(path: string): string[] {
  const parts = path.split("/");
  const problem = findProblem(path, parts);
  if (problem !== undefined) throw new EngineError("VOLUME_FAILED", `Invalid path ${JSON.stringify(path)} in a volume: it ${problem}`);
  return parts;
}

function findProblem(path: string, parts: readonly string[]): string | undefined {
  if (path === "") return "must not be empty";
  if (path.startsWith("/")) return "must be relative";
  if (Buffer.byteLength(path) > PATH_LIMIT) return `must not be longer than ${PATH_LIMIT} bytes`;
  if (parts.includes("..")) return "must not contain '..'";
  if (path.startsWith("..")) return "must not begin with '..'";
  if (parts.some((part) => part === "" || part === ".")) return "must not have empty parts or '.'";
  if (path.includes("\0")) return "must not contain a NUL";
  if (parts.some((part) => Buffer.byteLength(part) > NAME_LIMIT)) return `must not have a part longer than ${NAME_LIMIT} bytes`;
  return undefined;
}
