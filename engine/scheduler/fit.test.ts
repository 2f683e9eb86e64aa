import assert from "node:assert/strict";
import { test } from "node:test";
import type { ContainerPort, Node, Pod, PodStatus } from "@peapod/api";
import { misfits } from "./fit.ts";

const node: Node = {
  apiVersion: "v1",
  kind: "Node",
  metadata: { name: "n" },
  status: { allocatable: { cpu: "2", memory: "2Gi", pods: "3" } },
};
const pod = (given: { requests?: Record<string, string>; port?: Partial<ContainerPort>; status?: PodStatus; deleted?: boolean }): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", ...(given.deleted === true ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}) },
  spec: {
    containers: [
      {
        name: "a",
        ...(given.requests === undefined ? {} : { resources: { requests: given.requests } }),
        ...(given.port === undefined ? {} : { ports: [{ containerPort: 80, hostPort: 8080, ...given.port }] }),
      },
    ],
  },
  ...(given.status === undefined ? {} : { status: given.status }),
});
const half = { requests: { cpu: "1", memory: "1Gi" } };
const more = { requests: { cpu: "1001m", memory: "1Gi" } };
const ports = ["node(s) didn't have free ports for the requested pod ports"];

const cases: { does: string; pod: Pod; placed: Pod[]; want: string[] }[] = [
  { does: "takes what exactly fills the node", pod: pod(half), placed: [pod(half)], want: [] },
  { does: "refuses a thousandth more", pod: pod(more), placed: [pod(half)], want: ["Insufficient cpu"] },
  { does: "counts a pod that is being deleted", pod: pod(more), placed: [pod({ ...half, deleted: true })], want: ["Insufficient cpu"] },
  { does: "does not count one that failed", pod: pod(more), placed: [pod({ ...half, status: { phase: "Failed" } })], want: [] },
  { does: "takes one that asks for nothing on a full node", pod: pod({}), placed: [pod({ requests: { cpu: "2" } })], want: [] },
  { does: "counts places", pod: pod({}), placed: [pod({}), pod({}), pod({})], want: ["Too many pods"] },
  {
    does: "does not count the places of those that ended",
    pod: pod({}),
    placed: [pod({}), pod({}), pod({ status: { phase: "Succeeded" } })],
    want: [],
  },
  { does: "refuses a port that is taken", pod: pod({ port: {} }), placed: [pod({ port: {} })], want: ports },
  { does: "gives a port twice, by protocol", pod: pod({ port: { protocol: "UDP" } }), placed: [pod({ port: {} })], want: [] },
  {
    does: "gives a port twice, by address",
    pod: pod({ port: { hostIP: "127.0.0.1" } }),
    placed: [pod({ port: { hostIP: "127.0.0.2" } })],
    want: [],
  },
  { does: "refuses an address where all are taken", pod: pod({ port: { hostIP: "127.0.0.1" } }), placed: [pod({ port: {} })], want: ports },
  {
    does: "refuses all addresses where one is taken",
    pod: pod({ port: { hostIP: "0.0.0.0" } }),
    placed: [pod({ port: { hostIP: "127.0.0.1" } })],
    want: ports,
  },
];
for (const { does, pod: given, placed, want } of cases)
  test(`misfits() ${does}`, () => assert.deepEqual(misfits(given, node, placed), want));
