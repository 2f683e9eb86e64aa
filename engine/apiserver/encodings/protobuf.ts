import { badRequest, setField, wholeNumber } from "@peapod/api";
import { StatusError } from "../errors.ts";

/** The media type of protobuf bodies: kubectl from 1.35 sends them for `create namespace`, `configmap`, `secret` and `serviceaccount`, and for `auth can-i`, Helm 4 to delete. */
export const PROTOBUF = "application/vnd.kubernetes.protobuf";

const MAGIC = Buffer.from("k8s\0");

type Field =
  | { readonly name: string; readonly type: "string" | "bytes" | "bool" | "integer" }
  | { readonly name: string; readonly type: Message; readonly isRepeated?: true }
  | { readonly name: string; readonly type: "strings" | "string-map" | "bytes-map" };

type Message = Readonly<Record<number, Field>>;

const ownerReference: Message = {
  1: { name: "kind", type: "string" },
  3: { name: "name", type: "string" },
  4: { name: "uid", type: "string" },
  5: { name: "apiVersion", type: "string" },
  6: { name: "controller", type: "bool" },
  7: { name: "blockOwnerDeletion", type: "bool" },
};

const metadata: Message = {
  1: { name: "name", type: "string" },
  2: { name: "generateName", type: "string" },
  3: { name: "namespace", type: "string" },
  5: { name: "uid", type: "string" },
  6: { name: "resourceVersion", type: "string" },
  11: { name: "labels", type: "string-map" },
  12: { name: "annotations", type: "string-map" },
  13: { name: "ownerReferences", type: ownerReference, isRepeated: true },
  14: { name: "finalizers", type: "strings" },
};

/** The numbers of k8s.io/api/core/v1/generated.proto, and of authorization/v1, of the kinds that clients are known to send so. */
const messages: Readonly<Record<string, Message>> = {
  "v1, Namespace": { 1: { name: "metadata", type: metadata }, 2: { name: "spec", type: { 1: { name: "finalizers", type: "strings" } } } },
  "v1, ConfigMap": {
    1: { name: "metadata", type: metadata },
    2: { name: "data", type: "string-map" },
    3: { name: "binaryData", type: "bytes-map" },
    4: { name: "immutable", type: "bool" },
  },
  "v1, Secret": {
    1: { name: "metadata", type: metadata },
    2: { name: "data", type: "bytes-map" },
    3: { name: "type", type: "string" },
    4: { name: "stringData", type: "string-map" },
    5: { name: "immutable", type: "bool" },
  },
  "v1, ServiceAccount": {
    1: { name: "metadata", type: metadata },
    3: { name: "imagePullSecrets", type: { 1: { name: "name", type: "string" } }, isRepeated: true },
    4: { name: "automountServiceAccountToken", type: "bool" },
  },
  "authorization.k8s.io/v1, SelfSubjectAccessReview": {
    1: { name: "metadata", type: metadata },
    2: {
      name: "spec",
      type: {
        1: { name: "resourceAttributes", type: named("namespace", "verb", "group", "version", "resource", "subresource", "name") },
        2: { name: "nonResourceAttributes", type: named("path", "verb") },
      },
    },
  },
};

/** A message of texts, in the order of their numbers. */
function named(...names: readonly string[]): Message {
  return Object.fromEntries(names.map((name, index) => [index + 1, { name, type: "string" as const }]));
}

/** The numbers of k8s.io/apimachinery/pkg/apis/meta/v1/generated.proto; every group and version has this kind. */
const deleteOptions: Message = {
  1: { name: "gracePeriodSeconds", type: "integer" },
  2: { name: "preconditions", type: { 1: { name: "uid", type: "string" }, 2: { name: "resourceVersion", type: "string" } } },
  4: { name: "propagationPolicy", type: "string" },
  5: { name: "dryRun", type: "strings" },
};

/**
 * Reads a protobuf body as the object that the same client would have sent as JSON. Throws 400 for a malformed one, 415 for a kind
 * whose numbers are not known here.
 */
export function readProtobuf(body: Buffer): Record<string, unknown> {
  if (!body.subarray(0, MAGIC.length).equals(MAGIC)) throw malformed("it does not begin with k8s");
  const envelope: Message = {
    1: { name: "type", type: { 1: { name: "apiVersion", type: "string" }, 2: { name: "kind", type: "string" } } },
    2: { name: "raw", type: "bytes" },
  };
  const { type, raw } = decode(body.subarray(MAGIC.length), envelope) as { type?: { apiVersion?: string; kind?: string }; raw?: string }; // by the message above
  const { apiVersion = "", kind = "" } = type ?? {};
  const message = kind === "DeleteOptions" ? deleteOptions : messages[`${apiVersion}, ${kind}`];
  if (message === undefined)
    throw new StatusError({
      ...badRequest(`a ${kind} in protobuf is not understood here: send application/json`),
      code: 415,
      reason: "UnsupportedMediaType",
    });
  return { apiVersion, kind, ...decode(Buffer.from(raw ?? "", "base64"), message) };
}

const stringEntry: Message = { 1: { name: "key", type: "string" }, 2: { name: "value", type: "string" } };
const bytesEntry: Message = { 1: { name: "key", type: "string" }, 2: { name: "value", type: "bytes" } };

/** The fields of a message, with bytes in base64; fields of other numbers are left out. */
function decode(bytes: Buffer, message: Message): Record<string, unknown> {
  const reader = new Reader(bytes);
  const object: Record<string, unknown> = {};
  while (!reader.isAtEnd) {
    const tag = Number(reader.varint());
    const value = reader.value(tag & 7);
    const field = message[Math.floor(tag / 8)];
    if (field !== undefined) assign(object, field, value);
  }
  return object;
}

function assign(object: Record<string, unknown>, field: Field, value: bigint | Buffer): void {
  const { name, type } = field;
  if (typeof value === "bigint") {
    if (type === "bool") object[name] = value !== 0n;
    if (type === "integer") object[name] = wholeNumber(String(BigInt.asIntN(64, value)));
    return;
  }
  if (typeof type === "object") {
    const inner = decode(value, type);
    if ("isRepeated" in field) listIn(object, name).push(inner);
    else object[name] = inner;
  } else if (type === "string") object[name] = value.toString("utf8");
  else if (type === "bytes") object[name] = value.toString("base64");
  else if (type === "strings") listIn(object, name).push(value.toString("utf8"));
  else if (type === "string-map" || type === "bytes-map") {
    const entry = decode(value, type === "string-map" ? stringEntry : bytesEntry);
    const map = (object[name] ??= {}) as Record<string, unknown>; // only maps are put there
    setField(map, (entry["key"] ?? "") as string, entry["value"] ?? ""); // as its message says
  }
}

function listIn(object: Record<string, unknown>, name: string): unknown[] {
  return (object[name] ??= []) as unknown[]; // only lists are put there
}

/** The wire format: https://protobuf.dev/programming-guides/encoding/ */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** Of 64 bits, without a sign; what is beyond them is dropped. */
  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw malformed("it ends within a number");
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw malformed("it has a number that is too long");
  }

  value(wireType: number): bigint | Buffer {
    if (wireType === 0) return this.varint();
    const length = wireType === 2 ? Number(this.varint()) : wireType === 1 ? 8 : wireType === 5 ? 4 : undefined;
    if (length === undefined || this.#at + length > this.#bytes.length)
      throw malformed("it ends within a field, or has one of an unknown type");
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

function malformed(why: string): StatusError {
  return new StatusError(badRequest(`the body is not a Kubernetes protobuf message: ${why}`));
}
