import { readFile, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { CommandError, isErrno, run } from "@peapod/kit";

const HELPER_TIMEOUT_MS = 20_000;
/** Under which Docker keeps the login of its own registry. */
const dockerHubKey = "https://index.docker.io/v1/";

/**
 * The file with a registry's login, for skopeo; undefined where skopeo finds it itself: it reads Podman's files, then Docker's
 * `config.json` with its `auths` and `credHelpers`. What it does not know is Docker's `credsStore`, a helper for all registries:
 * that one is asked here, and its answer written to a file in `workDir`.
 */
export async function findLogin(
  host: string,
  workDir: string,
  signal: AbortSignal,
  dockerConfig = join(homedir(), ".docker/config.json"),
): Promise<string | undefined> {
  const config = await readConfig(dockerConfig);
  const key = host === "docker.io" ? dockerHubKey : host;
  if (config?.credsStore === undefined || config.credHelpers?.[key] !== undefined) return undefined;
  const answer = await askHelper(config.credsStore, key, signal);
  if (answer === undefined) return undefined;
  const path = join(workDir, "auth.json");
  const auth = Buffer.from(`${answer.user}:${answer.secret}`).toString("base64");
  await writeFile(path, JSON.stringify({ auths: { [host]: { auth } } }), { mode: 0o600 });
  return path;
}

interface DockerConfig {
  readonly credsStore?: string;
  readonly credHelpers?: Readonly<Record<string, string>>;
}

async function readConfig(path: string): Promise<DockerConfig | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(path, "utf8"));
    if (typeof value !== "object" || value === null) return undefined;
    const { credsStore, credHelpers } = value as Record<string, unknown>; // just checked
    return {
      ...(typeof credsStore === "string" && /^[\w.-]+$/.test(credsStore) ? { credsStore } : {}),
      ...(typeof credHelpers === "object" && credHelpers !== null ? { credHelpers: credHelpers as Record<string, string> } : {}), // only looked up
    };
  } catch (cause) {
    if (cause instanceof SyntaxError || isErrno(cause, "ENOENT", "ENOTDIR")) return undefined; // skopeo says what is wrong with it
    throw cause;
  }
}

/** By Docker's credential helper protocol: the registry on standard input, JSON on standard output, an error where it knows none. */
async function askHelper(store: string, key: string, signal: AbortSignal): Promise<{ user: string; secret: string } | undefined> {
  try {
    const { stdout } = await run(`docker-credential-${store}`, ["get"], { input: key, signal, timeoutMs: HELPER_TIMEOUT_MS });
    const answer = JSON.parse(stdout) as { Username?: unknown; Secret?: unknown };
    if (typeof answer.Username !== "string" || typeof answer.Secret !== "string" || answer.Username === "<token>") return undefined;
    return { user: answer.Username, secret: answer.Secret };
  } catch (cause) {
    if (cause instanceof CommandError || cause instanceof SyntaxError) return undefined; // no login: the registry says whether one is needed
    throw cause;
  }
}
