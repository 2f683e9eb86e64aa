import assert from "node:assert/strict";
import { test } from "node:test";
import type { ContainerPort, Node, Pod } from "@peapod/api";
import { demandOf } from "./demand.ts";
import { findNode } from "./fit.ts";
import { NodeRoom } from "./node-room.ts";

const node: Node = {
  apiVersion: "v1",
  kind: "Node",
  metadata: { name: "n" },
  status: { allocatable: { cpu: "2", memory: "2Gi", pods: "3" } },
};
const pod = (given: { requests?: Record<string, string>; port?: Partial<ContainerPort> }): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p" },
  spec: {
    containers: [
      {
        name: "a",
        ...(given.requests === undefined ? {} : { resources: { requests: given.requests } }),
        ...(given.port === undefined ? {} : { ports: [{ containerPort: 80, hostPort: 8080, ...given.port }] }),
      },
    ],
  },
});
const half = { requests: { cpu: "1", memory: "1Gi" } };
const more = { requests: { cpu: "1001m", memory: "1Gi" } };
const ports = ["node(s) didn't have free ports for the requested pod ports"];

const cases: { does: string; pod: Pod; placed: Pod[]; want: string[] }[] = [
  { does: "takes what exactly fills the node", pod: pod(half), placed: [pod(half)], want: [] },
  { does: "refuses a thousandth more", pod: pod(more), placed: [pod(half)], want: ["Insufficient cpu"] },
  { does: "takes one that asks for nothing on a full node", pod: pod({}), placed: [pod({ requests: { cpu: "2" } })], want: [] },
  { does: "counts places", pod: pod({}), placed: [pod({}), pod({}), pod({})], want: ["Too many pods"] },
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
  test(`NodeRoom.lacks() ${does}`, () => {
    const room = roomWith(placed);
    assert.deepEqual(
      room.lacks(demandOf(given)).map(({ reason }) => reason),
      want,
    );
    for (const index of placed.keys()) room.remove(`${index}`);
    assert.deepEqual(room.lacks(demandOf(given)), [], "all is free again");
  });

test("NodeRoom.remove() says what came free, and counts each pod once", () => {
  const room = roomWith([]);
  const demand = demandOf(pod({ requests: { cpu: "2" }, port: {} }));
  room.add("a", demand);
  room.add("a", demand);
  assert.deepEqual(
    room.lacks(demand).flatMap(({ waitsFor }) => waitsFor),
    ["cpu", "TCP/8080"],
  );
  assert.deepEqual(room.remove("a").toSorted(), ["TCP/8080", "cpu", "places"]);
  assert.deepEqual([room.remove("a"), room.lacks(demand)], [[], []]);
});

test("findNode() takes the first node with room, or says what all of them lack", () => {
  const full = roomWith([pod({ requests: { cpu: "2" } })]);
  const unknown = new NodeRoom();
  const demand = demandOf(pod(half));
  assert.deepEqual(
    findNode(
      demand,
      new Map([
        ["full", full],
        ["unknown", unknown],
        ["free", roomWith([])],
      ]),
    ),
    { kind: "fits", nodeName: "free" },
  );
  assert.deepEqual(
    findNode(
      demand,
      new Map([
        ["full", full],
        ["unknown", unknown],
        ["other", full],
      ]),
    ),
    {
      kind: "unschedulable",
      message: "0/2 nodes are available: 2 Insufficient cpu.",
      waitsFor: ["cpu"],
    },
  );
  assert.deepEqual(findNode(demand, new Map()), { kind: "unschedulable", message: "no nodes available to schedule pods", waitsFor: [] });
});

function roomWith(placed: readonly Pod[]): NodeRoom {
  const room = new NodeRoom();
  room.setNode(node);
  for (const [index, other] of placed.entries()) room.add(`${index}`, demandOf(other));
  return room;
}
