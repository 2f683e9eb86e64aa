import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decode } from "../fields/decode.ts";
import { applyDefaults } from "./defaults.ts";
import type { Container, KeyToPath, ObjectMeta, Pod, PodSpec } from "../generated.ts";
import type { KubeObject } from "../kinds/resource.ts";
import { resources } from "../kinds/resources.ts";
import { validate, validateUpdate } from "./validate.ts";

const pod = (spec: Partial<PodSpec> = {}, metadata: ObjectMeta = {}): Pod =>
  applyDefaults({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "x", namespace: "default", ...metadata },
    spec: { containers: [{ name: "a", image: "i" }], ...spec },
  });
const container = (fields: Partial<Container>): Pod =>
  pod({ containers: [{ name: "a", image: "i", ...fields }], volumes: [{ name: "v", emptyDir: {} }] });
const files = (item: KeyToPath): Pod => pod({ volumes: [{ name: "v", configMap: { name: "c", items: [item] } }] });
const label =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

const cases: { does: string; object: KubeObject; want: string[] }[] = [
  { does: "a plain pod", object: pod(), want: [] },
  { does: "a pod without containers", object: pod({ containers: [] }), want: ["spec.containers: Required value"] },
  { does: "a missing name", object: pod({}, { name: "" }), want: ["metadata.name: Required value: name or generateName is required"] },
  {
    does: "an owner of nothing",
    object: pod({}, { ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "", uid: "u" }] }),
    want: ['metadata.ownerReferences[0].name: Invalid value: "": must not be empty'],
  },
  {
    does: "a finalizer without its domain",
    object: pod({}, { finalizers: ["mine"] }),
    want: ['metadata.finalizers[0]: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified'],
  },
  {
    does: "a namespace in a namespace",
    object: { apiVersion: "v1", kind: "Namespace", metadata: { name: "n", namespace: "m" } },
    want: ["metadata.namespace: Forbidden: not allowed on this type"],
  },
  {
    does: "a namespace with a dot",
    object: { apiVersion: "v1", kind: "Namespace", metadata: { name: "a.b" } },
    want: [`metadata.name: Invalid value: "a.b": ${label}`],
  },
  {
    does: "a container without name and image",
    object: pod({ containers: [{ name: "" }] }),
    want: ["spec.containers[0].name: Required value", "spec.containers[0].image: Required value"],
  },
  {
    does: "a container's bad name",
    object: pod({ containers: [{ name: "A", image: "i" }] }),
    want: [`spec.containers[0].name: Invalid value: "A": ${label}`],
  },
  {
    does: "two containers of one name",
    object: pod({
      containers: [
        { name: "a", image: "i" },
        { name: "a", image: "i" },
      ],
    }),
    want: ['spec.containers[1].name: Duplicate value: "a"'],
  },
  {
    does: "an init container named like a container",
    object: pod({ initContainers: [{ name: "a", image: "i" }] }),
    want: ['spec.initContainers[0].name: Duplicate value: "a"'],
  },
  {
    does: "an image with spaces around",
    object: container({ image: " i" }),
    want: ['spec.containers[0].image: Invalid value: " i": must not have leading or trailing whitespace'],
  },
  {
    does: "an unknown restart policy",
    object: pod({ restartPolicy: "Sometimes" as "Never" }),
    want: ['spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"'],
  },
  {
    does: "a mount of nothing",
    object: container({ volumeMounts: [{ name: "w", mountPath: "/w" }] }),
    want: ['spec.containers[0].volumeMounts[0].name: Not found: "w"'],
  },
  {
    does: "two mounts at one path",
    object: container({
      volumeMounts: [
        { name: "v", mountPath: "/v" },
        { name: "v", mountPath: "/v" },
      ],
    }),
    want: ['spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/v": must be unique'],
  },
  {
    does: "a mount without path",
    object: container({ volumeMounts: [{ name: "v", mountPath: "" }] }),
    want: ["spec.containers[0].volumeMounts[0].mountPath: Required value"],
  },
  {
    does: "a subPath that leads out",
    object: container({ volumeMounts: [{ name: "v", mountPath: "/v", subPath: "/a/../b" }] }),
    want: [
      'spec.containers[0].volumeMounts[0].subPath: Invalid value: "/a/../b": must be a relative path',
      `spec.containers[0].volumeMounts[0].subPath: Invalid value: "/a/../b": must not contain '..'`,
    ],
  },
  {
    does: "ports out of range",
    object: container({ ports: [{ containerPort: 0 }, { containerPort: 1, hostPort: 65_536 }] }),
    want: [
      "spec.containers[0].ports[0].containerPort: Required value",
      "spec.containers[0].ports[1].hostPort: Invalid value: 65536: must be between 1 and 65535, inclusive",
    ],
  },
  {
    does: "two ports of one name",
    object: container({
      ports: [
        { containerPort: 1, name: "http" },
        { containerPort: 2, name: "http" },
      ],
    }),
    want: ['spec.containers[0].ports[1].name: Duplicate value: "http"'],
  },
  {
    does: "a host port taken twice",
    object: container({
      ports: [
        { containerPort: 1, hostPort: 80 },
        { containerPort: 2, hostPort: 80 },
        { containerPort: 3, hostPort: 80, protocol: "UDP" },
      ],
    }),
    want: ['spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//80"'],
  },
  {
    does: "an address that is none",
    object: container({ ports: [{ containerPort: 1, hostPort: 80, hostIP: "1.2.3.256" }] }),
    want: ['spec.containers[0].ports[0].hostIP: Invalid value: "1.2.3.256": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'],
  },
  {
    does: "a variable with =",
    object: container({ env: [{ name: "A=B", value: "1" }] }),
    want: [
      `spec.containers[0].env[0].name: Invalid value: "A=B": a valid environment variable name must consist only of printable ASCII characters other than '='`,
    ],
  },
  {
    does: "a variable from nowhere",
    object: container({ env: [{ name: "A", valueFrom: {} }] }),
    want: [
      'spec.containers[0].env[0].valueFrom: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`',
    ],
  },
  {
    does: "a variable with value and source",
    object: container({ env: [{ name: "A", value: "1", valueFrom: { configMapKeyRef: { name: "c", key: "k" } } }] }),
    want: ['spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty'],
  },
  {
    does: "a variable with two sources",
    object: container({
      env: [{ name: "A", valueFrom: { configMapKeyRef: { name: "c", key: "k" }, secretKeyRef: { name: "s", key: "k" } } }],
    }),
    want: ['spec.containers[0].env[0].valueFrom: Invalid value: "": may not have more than one field specified at a time'],
  },
  {
    does: "a reference without name and key",
    object: container({ env: [{ name: "A", valueFrom: { secretKeyRef: { key: "" } } }] }),
    want: [
      "spec.containers[0].env[0].valueFrom.secretKeyRef.name: Required value",
      "spec.containers[0].env[0].valueFrom.secretKeyRef.key: Required value",
    ],
  },
  {
    does: "a field that is none",
    object: container({ env: [{ name: "A", valueFrom: { fieldRef: { fieldPath: "metadata.nam" } } }] }),
    want: [
      'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "metadata.nam": error converting fieldPath: field label not supported: metadata.nam',
    ],
  },
  {
    does: "fields that env can read",
    object: container({
      env: ["metadata.uid", "metadata.labels['a.b/c']", "metadata.annotations['X']", "status.podIPs"].map((fieldPath, index) => ({
        name: `A${index}`,
        valueFrom: { fieldRef: { fieldPath } },
      })),
    }),
    want: [],
  },
  {
    does: "envFrom without a source",
    object: container({ envFrom: [{}] }),
    want: ['spec.containers[0].envFrom[0]: Invalid value: "": must specify one of: `configMapRef` or `secretRef`'],
  },
  {
    does: "a request over its limit",
    object: container({ resources: { requests: { memory: "2Gi" }, limits: { memory: "1Gi" } } }),
    want: ['spec.containers[0].resources.requests: Invalid value: "2Gi": must be less than or equal to memory limit of 1Gi'],
  },
  {
    does: "a negative limit",
    object: container({ resources: { limits: { cpu: "-1" }, requests: { cpu: "-1" } } }),
    want: [
      'spec.containers[0].resources.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0',
      'spec.containers[0].resources.requests[cpu]: Invalid value: "-1": must be greater than or equal to 0',
    ],
  },
  {
    does: "an unknown resource",
    object: container({ resources: { requests: { disk: "1" } } }),
    want: ['spec.containers[0].resources.requests[disk]: Invalid value: "disk": must be a standard resource for containers'],
  },
  {
    does: "two volumes of one name",
    object: pod({
      volumes: [
        { name: "v", emptyDir: {} },
        { name: "v", emptyDir: {} },
      ],
    }),
    want: ['spec.volumes[1].name: Duplicate value: "v"'],
  },
  {
    does: "a volume with two sources",
    object: pod({ volumes: [{ name: "v", emptyDir: {}, hostPath: { path: "/x" } }] }),
    want: ["spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"],
  },
  {
    does: "an unknown medium",
    object: pod({ volumes: [{ name: "v", emptyDir: { medium: "Tape" } }] }),
    want: ['spec.volumes[0].emptyDir.medium: Unsupported value: "Tape": supported values: "", "HugePages", "Memory"'],
  },
  {
    does: "a hostPath without path",
    object: pod({ volumes: [{ name: "v", hostPath: { path: "" } }] }),
    want: ["spec.volumes[0].hostPath.path: Required value"],
  },
  {
    does: "a hostPath with ..",
    object: pod({ volumes: [{ name: "v", hostPath: { path: "/a/../b" } }] }),
    want: [`spec.volumes[0].hostPath.path: Invalid value: "/a/../b": must not contain '..'`],
  },
  {
    does: "nameless configMap and secret volumes",
    object: pod({
      volumes: [
        { name: "v", configMap: {} },
        { name: "w", secret: {} },
      ],
    }),
    want: ["spec.volumes[0].configMap.name: Required value", "spec.volumes[1].secret.secretName: Required value"],
  },
  {
    does: "a file's mode out of range",
    object: files({ key: "k", path: "p", mode: 0o1000 }),
    want: ["spec.volumes[0].configMap.items[0].mode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive"],
  },
  {
    does: "a file that would hide the atomic swap",
    object: files({ key: "k", path: "..data/x" }),
    want: [`spec.volumes[0].configMap.items[0].path: Invalid value: "..data/x": must not start with '..'`],
  },
  {
    does: "a file outside its volume",
    object: files({ key: "k", path: "a/../../x" }),
    want: [`spec.volumes[0].configMap.items[0].path: Invalid value: "a/../../x": must not contain '..'`],
  },
  { does: "a bad host name", object: pod({ hostname: "A_b" }), want: [`spec.hostname: Invalid value: "A_b": ${label}`] },
  {
    does: "a bad host alias",
    object: pod({ hostAliases: [{ ip: "nowhere" }] }),
    want: ['spec.hostAliases[0].ip: Invalid value: "nowhere": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'],
  },
  {
    does: "a toleration of everything without Exists",
    object: pod({ tolerations: [{ operator: "Equal" }] }),
    want: [
      'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and all keys"',
    ],
  },
  {
    does: "a lease that lasts no time",
    object: {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: "l", namespace: "n" },
      spec: { leaseDurationSeconds: 0 },
    } as KubeObject,
    want: ["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"],
  },
  {
    does: "an event about another namespace",
    object: { apiVersion: "v1", kind: "Event", metadata: { name: "e", namespace: "n" }, involvedObject: { namespace: "m" } } as KubeObject,
    want: ['involvedObject.namespace: Invalid value: "m": does not match event.namespace'],
  },
];
for (const { does, object, want } of cases) {
  test(`validate() judges ${does}`, () =>
    assert.deepEqual(
      validate(object).map(({ message }) => message),
      want,
    ));
}

test("validate() takes whatever decodes, of every kind, without throwing", () => {
  const names = [
    "spec",
    "metadata",
    "containers",
    "name",
    "ports",
    "env",
    "valueFrom",
    "fieldRef",
    "volumeMounts",
    "resources",
    "limits",
    "cpu",
    "volumes",
    "configMap",
    "items",
    "data",
    "involvedObject",
    "tolerations",
    "hostAliases",
    "ownerReferences",
    "type",
  ];
  const json = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "medium" },
      fc.constantFrom<unknown>("x", "", 1, -1, true, null),
      tie("map"),
      fc.array(tie("value"), { maxLength: 3 }),
    ),
    map: fc.dictionary(fc.constantFrom(...names), tie("value"), { maxKeys: 5 }),
  }));
  fc.assert(
    fc.property(json.map, json.map, fc.constantFrom(...resources), (value, other, { group, version, kind, typeName }) => {
      const read = (given: object): KubeObject => {
        const decoded = decode({ metadata: {}, ...given }, typeName).value as object;
        return applyDefaults({ metadata: {}, ...decoded, apiVersion: group === "" ? version : `${group}/${version}`, kind });
      };
      validate(read(value));
      validateUpdate(read(value), read(other));
    }),
    { numRuns: 300 },
  );
});
