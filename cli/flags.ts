import type { FlagSpec } from "./arguments.ts";

/** Where the local engine keeps its things. */
export const engineFlags: readonly FlagSpec[] = [
  {
    name: "state-dir",
    kind: "string",
    value: "FOLDER",
    completes: "folder",
    about: "the local engine's state (default $PEAPOD_STATE_DIR, else /var/lib/peapod)",
  },
  {
    name: "run-dir",
    kind: "string",
    value: "FOLDER",
    completes: "folder",
    about: "the local engine's run directory (default $PEAPOD_RUN_DIR, else /run/peapod)",
  },
];

/** Which server to talk to. */
export const serverFlags: readonly FlagSpec[] = [
  { name: "kubeconfig", kind: "string", value: "FILE", completes: "file", about: "talk to this file's cluster, not to the local engine" },
  {
    name: "context",
    kind: "string",
    value: "NAME",
    about: "use this context of the kubeconfig (default file: $KUBECONFIG, else ~/.kube/config)",
  },
  ...engineFlags,
];

/** Which namespace to look in. */
export const namespaceFlag: FlagSpec = {
  name: "namespace",
  short: "n",
  kind: "string",
  value: "NAME",
  completes: "namespace",
  about: "the namespace (default: the context's, else default)",
};

export const listenFlag: FlagSpec = {
  name: "listen",
  kind: "string",
  value: "ADDRESS",
  about: "where an engine that is started listens (default $PEAPOD_LISTEN, else 127.0.0.1:7443)",
};

export const manifestFlag: FlagSpec = {
  name: "file",
  short: "f",
  kind: "list",
  value: "FILE",
  completes: "file",
  about: "a manifest: a file, a folder of them, a URL, or - for standard input",
};

/** How a result is printed for a script. */
export const outputFlag: FlagSpec = {
  name: "output",
  short: "o",
  kind: "string",
  choices: ["json", "yaml"],
  about: "print the result for a script",
};

/** Every command has it. */
export const helpFlag: FlagSpec = { name: "help", short: "h", kind: "boolean", about: "show this help" };
