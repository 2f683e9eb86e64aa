/**
 * Which folder may import which: the table of the architecture, as data, and the check that the code keeps to it.
 * usage: node tools/layers.ts
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export interface Layer {
  /** The most specific one that matches a file wins. A folder, or a file. */
  readonly path: string;
  /** Folders or files of the repository it may import besides its own. */
  readonly mayImport: readonly string[];
  /** False: neither node:* nor npm packages, it runs anywhere. */
  readonly node?: boolean;
  /** False: the time is an argument, and so is whatever else is another one at each look. */
  readonly clock?: boolean;
}

const engineCommon = ["api", "kit", "engine/errors.ts", "engine/linux"];
const kubeletInterfaces = [
  "engine/runtime/runtime.ts",
  "engine/images/images.ts",
  "engine/volumes/volumes.ts",
  "engine/network/network.ts",
  "engine/logs/logs.ts",
];

const decidedInterfaces = ["engine/runtime/runtime.ts", "engine/images/images.ts", "engine/volumes/volumes.ts"];

const companionCommon = ["kit", "companions/frame"];

/** Rows for the folders of a companion, each of which may import those before it. */
function floors(companion: string, folders: readonly string[]): Layer[] {
  const paths = folders.map((folder) => `${companion}/${folder}`);
  return paths.map((path, index) => ({ path, mayImport: [...companionCommon, ...paths.slice(0, index)] }));
}

/** How a request is read and answered: the same for every path of the server. */
const httpSide = ["engine/apiserver/errors.ts", "engine/apiserver/http/exchange.ts", "engine/apiserver/encodings/request-body.ts"];

export const layers: readonly Layer[] = [
  { path: "api", mayImport: [], node: false },
  { path: "kit", mayImport: [] },
  { path: "client", mayImport: ["api", "kit"] },
  { path: "cli", mayImport: ["api", "kit", "client", "companions/companions.ts"] },
  { path: "engine/errors.ts", mayImport: [] },
  { path: "engine/linux", mayImport: ["kit"] },
  { path: "engine/store", mayImport: engineCommon },
  { path: "engine/runtime", mayImport: engineCommon },
  { path: "engine/images", mayImport: [...engineCommon, "companions/companions.ts", "companions/sources.ts"] },
  { path: "engine/volumes", mayImport: engineCommon },
  { path: "engine/network", mayImport: engineCommon },
  { path: "engine/logs", mayImport: engineCommon },
  { path: "engine/scheduler", mayImport: ["api", "kit", "client"] },
  { path: "engine/controllers", mayImport: ["api", "kit", "client"] },
  // Errors have codes, and what is decided are other parts' plans and configurations, whose types stand in their interfaces.
  { path: "engine/kubelet/decide", mayImport: ["api", "engine/errors.ts", ...decidedInterfaces], node: false, clock: false },
  { path: "engine/kubelet/admit.ts", mayImport: ["api"], node: false, clock: false },
  { path: "engine/kubelet", mayImport: ["api", "kit", "client", "engine/errors.ts", "engine/linux/remove-tree.ts", ...kubeletInterfaces] },
  { path: "engine/apiserver", mayImport: ["api", "kit", "engine/errors.ts", "engine/store", "engine/kubelet/node-server.ts"] },
  { path: "engine/node-api", mayImport: ["api", "kit", "engine/errors.ts", "engine/images/images.ts", ...httpSide] },
  {
    path: "engine/doctor",
    mayImport: [
      "kit",
      "engine/errors.ts",
      "engine/linux/remove-tree.ts",
      "engine/runtime/oci/machine/choose-runtime.ts",
      "engine/network/foreign-firewalls.ts",
      "engine/network/names.ts",
    ],
  },
  {
    path: "engine/control-plane.ts",
    mayImport: [
      "kit",
      "client",
      "engine/config.ts",
      "engine/store",
      "engine/apiserver",
      "engine/scheduler",
      "engine/controllers",
      "engine/presence.ts",
      "engine/version.ts",
      "engine/recovery.ts",
      "engine/kubelet/node-server.ts",
    ],
  },
  {
    path: "engine/node.ts", // speaks to the API through a client alone
    mayImport: [
      "kit",
      "client",
      "engine/config.ts",
      "engine/recovery.ts",
      "engine/kubelet",
      "engine/runtime",
      "engine/images",
      "engine/volumes",
      "engine/network",
      "engine/logs",
    ],
  },
  { path: "engine/recovery.ts", mayImport: ["api", "kit", "engine/kubelet/record/kept-pods.ts", "engine/runtime/runtime.ts"] },
  { path: "engine", mayImport: ["api", "kit", "client", "engine"] },
  { path: "companions/companions.ts", mayImport: [] }, // what there is, for whoever starts one or makes its image
  { path: "companions/sources.ts", mayImport: ["kit"] },
  { path: "companions/image", mayImport: ["kit", "companions/companions.ts", "companions/sources.ts"] },
  { path: "companions/frame", mayImport: ["kit"] },
  { path: "companions/port", mayImport: companionCommon },
  { path: "companions/ambassador", mayImport: companionCommon }, // its main.ts
  ...floors("companions/ambassador", ["errors.ts", "config", "credentials", "flow", "upstream", "protocols", "operations"]),
  { path: "e2e", mayImport: ["api", "kit", "client", "engine/store/disk-image.fixture.ts"] },
  {
    path: "bench",
    mayImport: [
      "api",
      "kit",
      "client",
      "companions/ambassador/protocols/postgres/postgres-server.fixture.ts",
      "engine/images/layout.fixture.ts",
      "engine/images/registry/registry.fixture.ts",
    ],
  },
  {
    path: "tools",
    mayImport: ["api", "cli", "engine/config.ts", "companions/companions.ts", "companions/frame/config", "companions/ambassador/config"],
  }, // documents are generated from their tables, and checked with the manifest reader
];

/** Exceptions to the table, each with its reason. Fewer than five. */
export const exceptions: readonly { readonly file: string; readonly imports: string; readonly reason: string }[] = [
  {
    file: "engine/apiserver/encodings/yaml-body.ts",
    imports: "client",
    reason: "the dialect of YAML is one for the command line and the server, and `api` knows no packages",
  },
  {
    file: "companions/frame/config/suggest.ts",
    imports: "api",
    reason: "what was probably meant is found in one way, and the way is pure: one small file, and `api` may import nothing",
  },
];

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Every import of the repository that the table does not allow, as sentences. */
export function findViolations(): string[] {
  return sourceFiles().flatMap((file) => [...importsOf(file).flatMap((target) => judge(file, target)), ...judgeClock(file)]);
}

/** What tells the time, waits for it, or is random. */
const CLOCK =
  /\bDate\.now\b|\bnew Date\(\)|\bDate\(\)|\bperformance\.|\bprocess\.|\bglobalThis\b|\bset(?:Timeout|Interval|Immediate)\b|\bMath\.random\b|\bcrypto\./;

function judgeClock(file: string): string[] {
  const layer = layerOf(file);
  if (layer?.clock !== false || isTestFile(file)) return [];
  const found = findClock(readFileSync(join(root, file), "utf8"));
  return found === undefined ? [] : [`${file}: uses ${found}, but in ${layer.path} the time is an argument (tools/layers.ts)`];
}

/** The first thing in a program's text that another run would see differently. */
export function findClock(text: string): string | undefined {
  return CLOCK.exec(text)?.[0];
}

function isTestFile(file: string): boolean {
  return /\.(test|conformance|fixture)\.ts$/.test(file);
}

/** The TypeScript files of the layers, relative to the root. */
export function sourceFiles(): string[] {
  const folders = new Set(layers.map((layer) => layer.path.split("/")[0] ?? ""));
  return [...folders].flatMap((folder) => walk(join(root, folder))).map((file) => relative(root, file));
}

function walk(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === "node_modules") return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return walk(path);
    return entry.name.endsWith(".ts") ? [path] : [];
  });
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), "utf8");
  const found = text.matchAll(/^\s*(?:import|export)\b[^"';]*?\bfrom\s*"([^"]+)"|^\s*import\s+"([^"]+)"|\bimport\(\s*"([^"]+)"\s*[,)]/gm);
  return [...found].map((match) => match[1] ?? match[2] ?? match[3] ?? "");
}

/**
 * Files that import each other in a circle, types included: each circle once, as the files on it, in the order of the imports. What imports each
 * other cannot be understood, tested or moved by itself.
 */
export function findCircles(): string[][] {
  const files = sourceFiles();
  const known = new Set(files);
  const next = new Map(
    files.map((file) => [
      file,
      importsOf(file)
        .map((target) => pathOf(file, target))
        .filter((path) => known.has(path)),
    ]),
  );
  const done = new Set<string>();
  const circles: string[][] = [];
  const visit = (file: string, way: readonly string[]): void => {
    const start = way.indexOf(file);
    if (start >= 0) circles.push(way.slice(start));
    if (start >= 0 || done.has(file)) return;
    for (const target of next.get(file) ?? []) visit(target, [...way, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  return circles;
}

function pathOf(file: string, target: string): string {
  return target.startsWith(".") ? relative(root, resolve(root, dirname(file), target)) : target;
}

function judge(file: string, target: string): string[] {
  const layer = layerOf(file);
  if (layer === undefined) return [`${file}: stands in no layer of tools/layers.ts`];
  const isTest = isTestFile(file);
  const own = target.startsWith(".")
    ? relative(root, resolve(root, dirname(file), target))
    : target.startsWith("@peapod/")
      ? (target.slice("@peapod/".length).split("/")[0] ?? "")
      : undefined;
  if (own === `${companionOf(file) ?? ""}package.json`) return []; // the version
  if (own === undefined) {
    if (layer.node !== false || isTest) return [];
    return [`${file}: imports ${target}, but ${layer.path} runs anywhere: no node:* and no packages`];
  }
  if (isTest && file.startsWith("engine/") && (own.startsWith("engine/") || own === "client")) return []; // a test may build what it tests from real parts
  if (isTest && (own.startsWith("tools") || own === "kit")) return [];
  if (isTest && companionOf(file) !== undefined && companionOf(file) === companionOf(own)) return []; // likewise
  if ((layer.path === "bench" || layer.path === "e2e") && own.endsWith(".fixture.ts")) return []; // real servers are started in one way
  const targetLayer = layerOf(own) ?? layerOf(`${own}/index.ts`);
  const folder = layers.filter((one) => !one.path.endsWith(".ts")).find((one) => one === layer);
  if (targetLayer === layer || (folder !== undefined && own.startsWith(`${folder.path}/`) && folder.path !== "engine")) return [];
  if (layer.mayImport.some((allowed) => own === allowed || own.startsWith(`${allowed}/`))) return [];
  if (exceptions.some((one) => one.file === file && one.imports === own)) return [];
  return [`${file}: may not import ${own}: ${layer.path} may import ${layer.mayImport.join(", ") || "nothing"} (tools/layers.ts)`];
}

/** The folder of the companion, or of their frame, that a file belongs to. */
function companionOf(path: string): string | undefined {
  return /^companions\/[^/]+\//.exec(path)?.[0];
}

function layerOf(path: string): Layer | undefined {
  return layers
    .filter((layer) => path === layer.path || path.startsWith(`${layer.path}/`))
    .toSorted((a, b) => b.path.length - a.path.length)[0];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const violations = findViolations();
  for (const line of violations) process.stderr.write(`${line}\n`);
  process.exitCode = violations.length === 0 ? 0 : 1;
}
