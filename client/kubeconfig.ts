import { readFile } from "node:fs/promises";
import type { Agent } from "node:http";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { isErrno } from "@peapod/kit";

/** How to reach a cluster and as whom: what a kubeconfig says, read. */
export interface ClusterAccess {
  readonly server: URL;
  readonly contextName: string;
  /** The context's, or "default". */
  readonly namespace: string;
  /** What each connection needs; asked for each request, since tokens of plugins expire. */
  authorize(): Promise<Credentials>;
}

/** TLS options and headers, as node:https and ws take them. */
export interface Credentials {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly servername?: string;
  readonly rejectUnauthorized: boolean;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly agent?: Agent;
}

export interface KubeconfigChoice {
  /** One path, or several with `:` between them as in $KUBECONFIG; the first that names something wins. Default `~/.kube/config`. */
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** A kubeconfig that cannot be used, and why. */
export class KubeconfigError extends Error {
  override readonly name = "KubeconfigError";
}

/** Reads a kubeconfig. Throws a KubeconfigError that names the file and what is wrong; a missing or unreadable file keeps its errno as `cause`. */
export async function readKubeconfig(choice: KubeconfigChoice): Promise<ClusterAccess> {
  const paths = (choice.kubeconfig ?? join(homedir(), ".kube", "config")).split(":").filter((path) => path !== "");
  const config = merge(await Promise.all(paths.map((path) => readOne(path, paths.length > 1))));
  const where = paths.join(":");
  const contextName = choice.context ?? config.currentContext;
  if (contextName === undefined) throw new KubeconfigError(`${where} names no current context; name one with --context`);
  const context = config.contexts.get(contextName);
  if (context === undefined) {
    const known = [...config.contexts.keys()].join(", ") || "none";
    throw new KubeconfigError(`${where} has no context "${contextName}"; it has: ${known}`);
  }
  const clusterName = text(context["cluster"]) ?? "";
  const cluster = config.clusters.get(clusterName);
  const server = text(cluster?.["server"]);
  if (cluster === undefined || server === undefined || !URL.canParse(server)) {
    throw new KubeconfigError(`Context "${contextName}" of ${where} has no cluster "${clusterName}" with a server address`);
  }
  const userName = text(context["user"]) ?? "";
  const user = config.users.get(userName) ?? {};
  const needsPlugin = "exec" in user || "auth-provider" in user || "proxy-url" in cluster;
  return {
    server: new URL(server),
    contextName,
    namespace: text(context["namespace"]) ?? "default",
    authorize: named(
      `Cannot use the credentials of context "${contextName}" of ${where}`,
      needsPlugin ? pluginCredentials(cluster, user, userName) : plainCredentials(cluster, user),
    ),
  };
}

type Fields = Readonly<Record<string, unknown>>;

interface Config {
  readonly currentContext: string | undefined;
  readonly clusters: ReadonlyMap<string, Fields>;
  readonly users: ReadonlyMap<string, Fields>;
  readonly contexts: ReadonlyMap<string, Fields>;
}

async function readOne(path: string, mayBeMissing: boolean): Promise<Config> {
  const file = resolve(path);
  const content = await readFile(file, "utf8").catch((cause: unknown) => {
    if (mayBeMissing && isErrno(cause, "ENOENT")) return "{}";
    throw new KubeconfigError(`Cannot read kubeconfig ${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  });
  const root = await parse(file, content);
  const named = (list: string, inner: string): Map<string, Fields> => {
    const items = Array.isArray(root[list]) ? root[list].filter(isFields) : [];
    return new Map(items.map((item) => [text(item["name"]) ?? "", withPaths(dirname(file), isFields(item[inner]) ? item[inner] : {})]));
  };
  return {
    currentContext: text(root["current-context"]),
    clusters: named("clusters", "cluster"),
    users: named("users", "user"),
    contexts: named("contexts", "context"),
  };
}

/** The engine's own is JSON: no need to load a YAML parser for it. */
async function parse(file: string, content: string): Promise<Fields> {
  try {
    const value: unknown = content.trimStart().startsWith("{") ? JSON.parse(content) : (await import("yaml")).parse(content);
    if (isFields(value)) return value;
  } catch (cause) {
    throw new KubeconfigError(`Kubeconfig ${file} is neither YAML nor JSON: ${cause instanceof Error ? cause.message : ""}`, { cause });
  }
  throw new KubeconfigError(`Kubeconfig ${file} is empty`);
}

/** Paths in a kubeconfig are relative to it; so is a login program's, where it has a slash. */
function withPaths(folder: string, fields: Fields): Fields {
  const isPath = (key: string): boolean => ["certificate-authority", "client-certificate", "client-key", "tokenFile"].includes(key);
  const absolute = (key: string, value: unknown): unknown => {
    if (key === "exec" && isFields(value)) {
      const command = text(value["command"]);
      return command?.includes("/") === true ? { ...value, command: resolve(folder, command) } : value;
    }
    return isPath(key) && typeof value === "string" && value !== "" ? resolve(folder, value) : value;
  };
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, absolute(key, value)]));
}

function merge(configs: readonly Config[]): Config {
  const first = (pick: (config: Config) => ReadonlyMap<string, Fields>): Map<string, Fields> =>
    new Map(configs.toReversed().flatMap((config) => [...pick(config)]));
  return {
    currentContext: configs.map((config) => config.currentContext).find((name) => name !== undefined),
    clusters: first((config) => config.clusters),
    users: first((config) => config.users),
    contexts: first((config) => config.contexts),
  };
}

/** Says what failed, and for which context: a file that is gone, or what a login program answered. */
function named(what: string, credentials: () => Promise<Credentials>): () => Promise<Credentials> {
  return async () => {
    try {
      return await credentials();
    } catch (cause) {
      throw new KubeconfigError(`${what}: ${cause instanceof Error ? cause.message.trim() : String(cause)}`, { cause });
    }
  };
}

function plainCredentials(cluster: Fields, user: Fields): () => Promise<Credentials> {
  return async () => {
    const [ca, cert, key, tokenInFile] = await Promise.all([
      material(cluster, "certificate-authority"),
      material(user, "client-certificate"),
      material(user, "client-key"),
      typeof user["tokenFile"] === "string" && user["tokenFile"] !== "" ? readFile(user["tokenFile"], "utf8") : undefined,
    ]);
    const token = tokenInFile?.trim() ?? text(user["token"]); // where there are both, the file's is the newer one
    const servername = text(cluster["tls-server-name"]);
    return {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(servername === undefined ? {} : { servername }),
      rejectUnauthorized: cluster["insecure-skip-tls-verify"] !== true,
      headers: { ...authorization(token, text(user["username"]), text(user["password"])), ...impersonation(user) },
    };
  };
}

/** `NAME-data` in base64, or the file that NAME names. */
async function material(fields: Fields, name: string): Promise<Buffer | undefined> {
  const data = text(fields[`${name}-data`]);
  if (data !== undefined) return Buffer.from(data, "base64");
  const path = text(fields[name]);
  return path === undefined ? undefined : await readFile(path);
}

function authorization(token: string | undefined, username: string | undefined, password: string | undefined): Record<string, string> {
  if (token !== undefined) return { authorization: `Bearer ${token}` };
  if (username === undefined) return {};
  return { authorization: `Basic ${Buffer.from(`${username}:${password ?? ""}`).toString("base64")}` };
}

/** Whom a user acts as: without these the request would be made with all that the user itself may do. */
function impersonation(user: Fields): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  const [name, uid, groups, extra] = [text(user["as"]), text(user["as-uid"]), user["as-groups"], user["as-user-extra"]];
  if (name !== undefined) headers["Impersonate-User"] = name;
  if (uid !== undefined) headers["Impersonate-Uid"] = uid;
  if (Array.isArray(groups)) headers["Impersonate-Group"] = groups.map(String);
  for (const [key, values] of Object.entries(isFields(extra) ? extra : {}))
    if (Array.isArray(values)) headers[`Impersonate-Extra-${encodeURIComponent(key)}`] = values.map(String);
  return headers;
}

/**
 * Login programs, OpenID Connect and proxies are @kubernetes/client-node's: a quarter of a second to load, so only here. It keeps a
 * token until that expires, so one of its configurations serves every request.
 */
function pluginCredentials(cluster: Fields, user: Fields, userName: string): () => Promise<Credentials> {
  const load = async () => {
    const { KubeConfig } = await import("@kubernetes/client-node");
    const config = new KubeConfig();
    const names = { cluster: "cluster", user: userName === "" ? "user" : userName };
    const content = {
      clusters: [{ name: names.cluster, cluster }],
      users: [{ name: names.user, user }],
      contexts: [{ name: "context", context: names }],
      "current-context": "context",
    };
    config.loadFromString(JSON.stringify(content)); // JSON is YAML
    return config;
  };
  let loading: ReturnType<typeof load> | undefined;
  return async () => {
    const config = await (loading ??= load());
    const options: Record<string, unknown> & { headers?: Record<string, string> } = {};
    await config.applyToHTTPSOptions(options);
    if (!("proxy-url" in cluster)) delete options["agent"]; // the caller's own keeps connections
    return { rejectUnauthorized: true, ...options, headers: { ...options.headers, ...impersonation(user) } };
  };
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
