import type { Command } from "./command.ts";
import { engineFlags, listenFlag, manifestFlag, namespaceFlag, outputFlag, serverFlags } from "./flags.ts";
import type { FlagSpec } from "./arguments.ts";

const containerFlag: FlagSpec = {
  name: "container",
  short: "c",
  kind: "string",
  value: "NAME",
  completes: "container",
  about: "this container of the pod",
};

/** Every command, in the order of the help. Only the one that is run is loaded. */
export const commands: readonly Command[] = [
  {
    name: "up",
    summary: "Run the pods of a manifest",
    usage: "[-f FILE | FILE...]",
    completes: ["file"],
    flags: [
      manifestFlag,
      { name: "detach", short: "d", kind: "boolean", about: "return when every pod is ready, and leave them running" },
      { name: "timeout", kind: "duration", value: "TIME", about: "with -d: how long to wait for ready (default 5m)" },
      { name: "timestamps", kind: "boolean", about: "show when each line was written" },
      namespaceFlag,
      listenFlag,
      ...serverFlags,
    ],
    examples: [
      { line: "up pod.yaml", about: "run it, show its log, and delete it on Ctrl-C" },
      { line: "up -d examples/three-ways", about: "run a folder of manifests in the background" },
      { line: "up https://example.org/pod.yaml", about: "run a manifest from the web" },
      { line: "up -", about: "run what standard input says" },
    ],
    details:
      "Creates or updates every object of the manifest, shows one log of all containers, and ends when all pods have ended.\n" +
      "Ctrl-C deletes what this command created, a second Ctrl-C without waiting. What was there before stays.\n" +
      "Starts an engine if none runs; that one ends by itself when nothing has been left to run for ten minutes.\n" +
      "Exit code: 0 every pod succeeded (with -d: is ready), 1 one failed.",
    load: async () => (await import("./commands/up.ts")).up,
  },
  {
    name: "down",
    summary: "Delete every object of a manifest, or pods by name",
    usage: "[-f FILE | FILE... | POD...]",
    completes: ["pod-or-file"],
    flags: [
      manifestFlag,
      { name: "grace-period", kind: "number", value: "SECONDS", about: "how long containers may take to end (default: the pod's)" },
      namespaceFlag,
      ...serverFlags,
    ],
    examples: [
      { line: "down pod.yaml", about: "end its pods and delete what it names" },
      { line: "down web", about: "end the pod web" },
    ],
    details:
      "Waits until everything is gone. What a manifest names and is not there is fine. A word is a pod's name where no file is called so.",
    load: async () => (await import("./commands/down.ts")).down,
  },
  {
    name: "ps",
    summary: "List pods and their containers",
    usage: "[POD...]",
    completes: ["pod"],
    flags: [
      { name: "all-namespaces", short: "A", kind: "boolean", about: "in every namespace" },
      namespaceFlag,
      outputFlag,
      ...serverFlags,
    ],
    examples: [
      { line: "ps", about: "what runs" },
      { line: "ps -A -o json", about: "everything, for a script" },
    ],
    load: async () => (await import("./commands/ps.ts")).ps,
  },
  {
    name: "logs",
    summary: "Show the log of a pod's containers",
    usage: "POD",
    completes: ["pod", "nothing"],
    flags: [
      { name: "follow", short: "f", kind: "boolean", about: "go on as the log grows, through restarts" },
      containerFlag,
      { name: "tail", kind: "number", value: "LINES", about: "only the last lines of each container" },
      { name: "since", kind: "duration", value: "TIME", about: "only what is newer, such as 10s or 5m" },
      { name: "timestamps", kind: "boolean", about: "show when each line was written" },
      { name: "previous", short: "p", kind: "boolean", about: "of the container before its last restart" },
      namespaceFlag,
      ...serverFlags,
    ],
    examples: [
      { line: "logs web", about: "every container's, in order of time" },
      { line: "logs -f -c nginx web", about: "one container's, as it grows" },
    ],
    load: async () => (await import("./commands/logs.ts")).logs,
  },
  {
    name: "exec",
    summary: "Run a command in a container",
    usage: "POD [--] COMMAND [ARGUMENT...]",
    completes: ["pod", "nothing"],
    ownWords: 2,
    flags: [
      containerFlag,
      { name: "stdin", short: "i", kind: "boolean", about: "pass standard input on" },
      { name: "tty", short: "t", kind: "boolean", about: "give it a terminal" },
      namespaceFlag,
      ...serverFlags,
    ],
    examples: [
      { line: "exec web -- ls /", about: "in the pod's first container" },
      { line: "exec web -c nginx ls -l /", about: "in the container nginx; what follows the command's name is its own" },
      { line: "exec -it web -c shell -- sh", about: "a shell" },
    ],
    details:
      "Runs in the container that -c names, else the one that the pod's annotation kubectl.kubernetes.io/default-container names, else the first.\n" +
      "Exit code: the command's own; 1 when it could not be run.",
    load: async () => (await import("./commands/exec.ts")).exec,
  },
  ...imageCommands(),
  {
    name: "companion",
    summary: "Run a companion by itself, on this machine",
    usage: "[NAME [ARGUMENT...]]",
    completes: ["companion", "file"],
    ownWords: 1,
    flags: [],
    examples: [
      { line: "companion", about: "which there are" },
      { line: "companion ambassador --config ambassador.yaml", about: "run the ambassador until Ctrl-C" },
      { line: "companion ambassador check ambassador.yaml", about: "say whether its configuration is valid" },
      { line: "companion ambassador --help", about: "the companion's own help" },
    ],
    details: "Everything after the name is the companion's. Exit code: the companion's own.",
    load: async () => (await import("./commands/companion.ts")).companion,
  },
  {
    name: "serve",
    summary: "Run the engine in the foreground",
    usage: "",
    flags: [
      listenFlag,
      ...engineFlags,
      {
        name: "idle-exit-minutes",
        kind: "string",
        value: "N",
        about: "end when nothing has been left to run for so long (default: never)",
      },
      {
        name: "runtime",
        kind: "string",
        value: "PATH",
        completes: "file",
        about: "the OCI runtime (default: crun where it works, else runc)",
      },
      { name: "node-name", kind: "string", value: "NAME", about: "the node's name in the API (default: the machine's hostname)" },
      { name: "pod-cidr", kind: "string", value: "CIDR", about: "IPv4 network of the pods (default: one free of the machine's routes)" },
      { name: "pod-pids-limit", kind: "string", value: "N", about: "processes and threads that one pod may have, or none (default 4096)" },
      {
        name: "total-pids-limit",
        kind: "string",
        value: "N",
        about: "processes and threads that all pods may have together, or none (default: three quarters of the machine's)",
      },
      {
        name: "unknown-pods",
        kind: "string",
        choices: ["keep", "remove"],
        about: "what becomes of pods that run and that no object tells of (default keep)",
      },
      { name: "log-level", kind: "string", choices: ["error", "warn", "info", "debug"], about: "how much it says (default info)" },
    ],
    examples: [{ line: "serve", about: "until Ctrl-C; pods go on running" }],
    details:
      "Each flag has an environment variable, which it wins over: PEAPOD_NODE_NAME for --node-name. The log is JSON lines on standard error.",
    load: async () => (await import("./commands/serve.ts")).serve,
  },
  {
    name: "stop",
    summary: "End the engine; pods go on running, unless told otherwise",
    usage: "",
    flags: [{ name: "delete-pods", kind: "boolean", about: "delete every pod first, so that nothing is left running" }, ...engineFlags],
    examples: [
      { line: "stop", about: "end the engine; the next one takes the pods over" },
      { line: "stop --delete-pods", about: "end everything" },
    ],
    details: "Containers do not need the engine to run, only to be watched and restarted: the next engine finds and adopts them.",
    load: async () => (await import("./commands/stop.ts")).stop,
  },
  {
    name: "kubeconfig",
    summary: "Print the administrator's kubeconfig",
    usage: "",
    flags: engineFlags,
    examples: [{ line: "kubeconfig > ~/.kube/peapod && KUBECONFIG=~/.kube/peapod kubectl get pods", about: "use kubectl" }],
    details: "It holds a private key: whoever has it is root in every pod.",
    load: async () => (await import("./commands/kubeconfig.ts")).kubeconfig,
  },
  {
    name: "doctor",
    summary: "Say what this machine has and lacks",
    usage: "",
    flags: [outputFlag, ...engineFlags],
    examples: [{ line: "doctor", about: "each check, and the command that mends it" }],
    details: "Exit code: 1 when something is missing that pods need.",
    load: async () => (await import("./commands/doctor.ts")).doctor,
  },
  {
    name: "fields",
    summary: "Say which fields of a manifest are supported",
    usage: "[KIND[.PATH]]",
    completes: ["field", "nothing"],
    flags: [{ name: "only", kind: "string", choices: ["supported", "accepted", "refused"], about: "one of the three lists" }, outputFlag],
    examples: [
      { line: "fields pod.spec.containers", about: "what a container may say" },
      { line: "fields --only refused", about: "what is refused, and why" },
    ],
    details:
      "Supported fields work as on a cluster. Accepted ones mean nothing on one machine: a warning says so. Refused ones are an error.",
    load: async () => (await import("./commands/fields.ts")).fields,
  },
  {
    name: "completion",
    summary: "Print completion for a shell",
    usage: "bash|zsh|fish",
    completes: ["shell", "nothing"],
    flags: [],
    examples: [
      { line: "completion bash > /etc/bash_completion.d/peapod", about: "for every user's bash" },
      { line: "completion zsh > /usr/local/share/zsh/site-functions/_peapod", about: "for every user's zsh" },
      { line: "completion fish > ~/.config/fish/completions/peapod.fish", about: "for your own fish" },
    ],
    details:
      "Completes commands, flags, files, pods, containers, namespaces, images, companions and field paths. The script asks peapod itself for them;\n" +
      "without an engine, or the right to ask it, there is nothing to offer of what the engine has.",
    load: async () => (await import("./commands/completion.ts")).completion,
  },
  {
    name: "__complete",
    summary: "Print what a shell offers for the last word of a command line",
    usage: "-- [WORD...]",
    flags: [],
    examples: [],
    hidden: true,
    load: async () => {
      const { complete } = await import("./commands/complete.ts");
      return async (invocation) => complete(commands, invocation);
    },
  },
  {
    name: "version",
    summary: "Print the version",
    usage: "",
    flags: [outputFlag, ...engineFlags],
    examples: [{ line: "version -o json", about: "for a script" }],
    load: async () => (await import("./commands/version.ts")).version,
  },
];

function imageCommands(): Command[] {
  const load = (name: "list" | "pull" | "load" | "rm" | "prune") => async () => (await import("./commands/image.ts")).imageCommands[name];
  return [
    {
      name: "image list",
      summary: "List the images on this machine",
      usage: "",
      flags: [outputFlag, ...serverFlags],
      examples: [{ line: "image list", about: "names, sizes and ages" }],
      load: load("list"),
    },
    {
      name: "image pull",
      summary: "Pull images from a registry, or make them of packages",
      usage: "IMAGE...",
      completes: ["image"],
      flags: serverFlags,
      examples: [
        { line: "image pull docker.io/library/nginx:1.27", about: "from a registry" },
        { line: "image pull apt.local/nginx", about: "made from Debian's packages" },
      ],
      load: load("pull"),
    },
    {
      name: "image load",
      summary: "Load images from a file or folder",
      usage: "PATH",
      completes: ["file", "nothing"],
      flags: [
        { name: "name", kind: "string", value: "IMAGE", about: "what the image is called here, whatever its archive says" },
        ...serverFlags,
      ],
      examples: [{ line: "image load app.tar", about: "an OCI layout, an OCI archive or what docker save wrote" }],
      load: load("load"),
    },
    {
      name: "image build",
      summary: "Make a companion's image for a registry",
      usage: "COMPANION",
      completes: ["companion", "nothing"],
      flags: [
        { name: "output", short: "o", kind: "string", value: "FILE", about: "write it as an OCI archive" },
        { name: "push", kind: "string", value: "IMAGE", about: "push it to a registry, with Docker's or Podman's login" },
        { name: "name", kind: "string", value: "IMAGE", about: "the name in the archive (default: where it is pushed to)" },
      ],
      examples: [
        { line: "image build ambassador -o ambassador.tar", about: "for podman load, or skopeo copy" },
        { line: "image build ambassador --push registry.example/tools/ambassador:1", about: "for a cluster" },
      ],
      details: "The image is the one that peapod makes for itself as peapod.local/COMPANION. Needs no engine, and no root.",
      load: async () => (await import("./commands/image-build.ts")).build,
    },
    {
      name: "image rm",
      summary: "Remove images",
      usage: "IMAGE...",
      completes: ["image"],
      flags: serverFlags,
      examples: [{ line: "image rm docker.io/library/nginx:1.27", about: "the name, and with its last name the image" }],
      load: load("rm"),
    },
    {
      name: "image prune",
      summary: "Remove images that nothing uses",
      usage: "",
      flags: [{ name: "all", short: "a", kind: "boolean", about: "also those with a name" }, ...serverFlags],
      examples: [{ line: "image prune --all", about: "every image that no container uses" }],
      load: load("prune"),
    },
  ];
}
