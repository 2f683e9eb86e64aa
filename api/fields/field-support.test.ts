import assert from "node:assert/strict";
import { test } from "node:test";
import { applyDefaults } from "../objects/defaults.ts";
import { checkSupport, fieldRules, listFields } from "./field-support.ts";
import type { Container, Pod, PodSpec, Volume } from "../generated.ts";
import { pods } from "../kinds/pod.ts";
import { resources } from "../kinds/resources.ts";
import { typeNames, typeSchema } from "./schema.ts";

const short = (name: string): string => name.slice(name.lastIndexOf(".") + 1);

/** Every type whose fields must be decided: reached from a served kind without passing a field that is decided as a whole. */
function reachedTypes(): Map<string, string> {
  const found = new Map<string, string>();
  const waiting = resources.map(({ typeName }) => typeName);
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (found.has(short(name))) continue;
    found.set(short(name), name);
    for (const [field, schema] of Object.entries(typeSchema(name)?.fields ?? {})) {
      const rule = fieldRules[short(name)]?.[field];
      const ref = schema.ref ?? schema.list?.ref ?? schema.map?.ref;
      if (rule?.support === "supported" && rule.whole !== true && ref !== undefined && typeSchema(ref)?.fields !== undefined)
        waiting.push(ref);
    }
  }
  return found;
}

test("fieldRules decides every field that the served kinds have, and no other", () => {
  const reached = reachedTypes();
  for (const [name, typeName] of reached) {
    assert.deepEqual(
      Object.keys(fieldRules[name] ?? {}).toSorted(),
      Object.keys(typeSchema(typeName)?.fields ?? {}).toSorted(),
      `the fields of ${name}`,
    );
  }
  assert.deepEqual(Object.keys(fieldRules).toSorted(), [...reached.keys()].toSorted());
});

test("fieldRules has no two types of one short name", () => {
  const reached = [...reachedTypes().values()];
  assert.equal(new Set(reached.map(short)).size, reached.length);
  for (const name of reached) assert.ok(typeNames().includes(name));
});

test("fieldRules says why wherever a field is not supported", () => {
  for (const [name, rules] of Object.entries(fieldRules)) {
    for (const [field, { support, note }] of Object.entries(rules))
      if (support !== "supported") assert.match(note, /^(has no effect|is not supported yet): \w/, `${name}.${field}`);
  }
});

test("listFields() lists every kind, ends below what is decided as a whole, and never twice", () => {
  for (const resource of resources) {
    const paths = listFields(resource).map(({ path }) => path);
    assert.equal(new Set(paths).size, paths.length, resource.kind);
    assert.ok(paths.includes("metadata.name"));
  }
  const list = new Map(listFields(pods).map((entry) => [entry.path, entry]));
  assert.deepEqual(list.get("spec.containers[].env[].valueFrom.fieldRef.fieldPath"), {
    path: "spec.containers[].env[].valueFrom.fieldRef.fieldPath",
    type: "string",
    support: "supported",
    note: "",
  });
  assert.equal(list.get("spec.containers[].resources.limits")?.type, "map of quantity");
  assert.equal(list.get("spec.affinity")?.support, "accepted");
  assert.equal(list.get("spec.initContainers")?.support, "refused");
  assert.equal(list.has("spec.initContainers[].name"), false);
  assert.equal(list.has("status.phase"), false);
});

const pod = (spec: Partial<PodSpec>): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "x" },
  spec: { containers: [{ name: "a", image: "i" }], ...spec },
});
const withContainer = (fields: Partial<Container>): Pod => pod({ containers: [{ name: "a", image: "i", ...fields }] });
const withVolume = (fields: Partial<Volume>): Pod => pod({ volumes: [{ name: "v", ...fields }] });

const quiet: [does: string, pod: Pod][] = [
  ["a plain pod", pod({})],
  [
    "what asks for nothing",
    pod({
      hostNetwork: false,
      hostPID: false,
      hostUsers: true,
      affinity: {},
      initContainers: [],
      tolerations: [],
      nodeSelector: { "kubernetes.io/os": "linux" },
      os: { name: "linux" },
      dnsPolicy: "Default",
    }),
  ],
  ["an empty security context", pod({ securityContext: {}, containers: [{ name: "a", image: "i", securityContext: {} }] })],
  [
    "what every container is anyway",
    withContainer({
      securityContext: {
        privileged: false,
        readOnlyRootFilesystem: false,
        runAsNonRoot: false,
        allowPrivilegeEscalation: true,
        procMount: "Default",
        capabilities: { add: [] },
        seccompProfile: { type: "RuntimeDefault" },
      },
    }),
  ],
  ["cpu and memory", withContainer({ resources: { limits: { cpu: "1", memory: "1Gi" }, requests: {} } })],
  ["a memory volume with its limit", withVolume({ emptyDir: { medium: "Memory", sizeLimit: "1Mi" } })],
  [
    "the volumes there are",
    pod({
      volumes: [
        { name: "h", hostPath: { path: "/x", type: "Directory" } },
        { name: "c", configMap: { name: "c", items: [{ key: "k", path: "p", mode: 0o600 }], optional: true } },
        { name: "s", secret: { secretName: "s" } },
      ],
    }),
  ],
  [
    "mounts as they are by default",
    withContainer({
      volumeMounts: [{ name: "v", mountPath: "/v", mountPropagation: "None", recursiveReadOnly: "Disabled", readOnly: true, subPath: "x" }],
    }),
  ],
];
for (const [does, given] of quiet) {
  test(`checkSupport() says nothing of ${does}, nor of it with its defaults`, () => {
    assert.deepEqual(checkSupport(given), { warnings: [], refusals: [] });
    assert.deepEqual(checkSupport(applyDefaults(given)), { warnings: [], refusals: [] });
  });
}

const warned: [path: string, pod: Pod][] = [
  ["spec.tolerations", pod({ tolerations: [{ key: "gpu", operator: "Exists" }] })],
  ["spec.affinity", pod({ affinity: { podAffinity: {} } })],
  ["spec.nodeSelector", pod({ nodeSelector: { disk: "ssd" } })],
  ["spec.schedulerName", pod({ schedulerName: "mine" })],
  ["spec.priority", pod({ priority: 7 })],
  ["spec.priorityClassName", pod({ priorityClassName: "high" })],
  [
    "spec.topologySpreadConstraints",
    pod({ topologySpreadConstraints: [{ maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "DoNotSchedule" }] }),
  ],
  ["spec.imagePullSecrets", pod({ imagePullSecrets: [{ name: "s" }] })],
  ["spec.volumes[0].emptyDir.sizeLimit", withVolume({ emptyDir: { sizeLimit: "1Gi" } })],
  ["spec.containers[0].resources.limits[ephemeral-storage]", withContainer({ resources: { limits: { "ephemeral-storage": "1Gi" } } })],
  ["spec.containers[0].stdinOnce", withContainer({ stdin: true, stdinOnce: true })],
  [
    "metadata.ownerReferences",
    { ...pod({}), metadata: { name: "x", ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "o", uid: "u" }] } },
  ],
];
for (const [path, given] of warned) {
  test(`checkSupport() warns of ${path}`, () => {
    const { warnings, refusals } = checkSupport(given);
    assert.deepEqual(refusals, []);
    assert.deepEqual(
      warnings.map((warning) => warning.path),
      [path],
    );
    assert.match(warnings[0]?.message ?? "", /^has no effect: /);
  });
}

test("checkSupport() warns of memory that is no whole number of bytes, in upstream's words and with what may be meant", () => {
  const resources = { limits: { memory: "400m", cpu: "400m" }, requests: { memory: "1500m" } };
  const { warnings } = checkSupport(withContainer({ resources }));
  assert.deepEqual(
    warnings.map(({ path, message }) => `${path}: ${message}`),
    [
      'spec.containers[0].resources.limits[memory]: fractional byte value "400m" is invalid, must be an integer; it counts as 1 byte: did you mean 400Mi?',
      'spec.containers[0].resources.requests[memory]: fractional byte value "1500m" is invalid, must be an integer; it counts as 2 bytes: did you mean 1500Mi?',
    ],
  );
  for (const memory of ["400Mi", "0.5Ki", "1000m", "1e3", "0"])
    assert.deepEqual(checkSupport(withContainer({ resources: { limits: { memory } } })).warnings, [], memory);
});

const refusedPods: [path: string, pod: Pod][] = [
  ["spec.initContainers", pod({ initContainers: [{ name: "i", image: "i" }] })],
  ["spec.hostNetwork", pod({ hostNetwork: true })],
  ["spec.hostUsers", pod({ hostUsers: false })],
  ["spec.dnsPolicy", pod({ dnsPolicy: "None" })],
  ["spec.dnsConfig", pod({ dnsConfig: { nameservers: ["1.1.1.1"] } })],
  ["spec.activeDeadlineSeconds", pod({ activeDeadlineSeconds: 1 })],
  ["spec.runtimeClassName", pod({ runtimeClassName: "gvisor" })],
  ["spec.os.name", pod({ os: { name: "windows" } })],
  ["spec.securityContext.runAsUser", pod({ securityContext: { runAsUser: 0 } })],
  ["spec.securityContext.fsGroup", pod({ securityContext: { fsGroup: 1000 } })],
  ["spec.securityContext.seccompProfile.type", pod({ securityContext: { seccompProfile: { type: "Unconfined" } } })],
  ["spec.containers[0].livenessProbe", withContainer({ livenessProbe: {} })],
  ["spec.containers[0].lifecycle", withContainer({ lifecycle: { preStop: { exec: { command: ["x"] } } } })],
  ["spec.containers[0].restartPolicy", withContainer({ restartPolicy: "Always" })],
  ["spec.containers[0].terminationMessagePath", withContainer({ terminationMessagePath: "/tmp/x" })],
  ["spec.containers[0].terminationMessagePolicy", withContainer({ terminationMessagePolicy: "FallbackToLogsOnError" })],
  ["spec.containers[0].resources.limits[nvidia.com/gpu]", withContainer({ resources: { limits: { "nvidia.com/gpu": "1" } } })],
  ["spec.containers[0].securityContext.allowPrivilegeEscalation", withContainer({ securityContext: { allowPrivilegeEscalation: false } })],
  ["spec.containers[0].securityContext.capabilities", withContainer({ securityContext: { capabilities: { drop: ["ALL"] } } })],
  [
    "spec.containers[0].volumeMounts[0].mountPropagation",
    withContainer({ volumeMounts: [{ name: "v", mountPath: "/v", mountPropagation: "Bidirectional" }] }),
  ],
  ["spec.volumes[0].emptyDir.medium", withVolume({ emptyDir: { medium: "HugePages" } })],
  ["spec.volumes[0].projected", withVolume({ projected: {} })],
  ["spec.volumes[0].persistentVolumeClaim", withVolume({ persistentVolumeClaim: { claimName: "c" } })],
];
for (const [path, given] of refusedPods) {
  test(`checkSupport() refuses ${path}`, () => {
    const { warnings, refusals } = checkSupport(given);
    assert.deepEqual(warnings, []);
    assert.deepEqual(
      refusals.map((refusal) => refusal.path),
      [path],
    );
    assert.match(refusals[0]?.message ?? "", /is not supported yet: |only linux runs here/);
  });
}

test("checkSupport() says nothing of a status, nor of a kind that is not served", () => {
  assert.deepEqual(checkSupport({ ...pod({}), status: { resize: "x", message: "y" } } as Pod), { warnings: [], refusals: [] });
  assert.deepEqual(checkSupport({ apiVersion: "apps/v1", kind: "Deployment", metadata: {} }), { warnings: [], refusals: [] });
});
