import assert from "node:assert/strict";
import { test } from "node:test";
import type { ContainerStatus, Pod } from "@peapod/api";
import { podNotes } from "./pod-notes.ts";
import { podStatusText, readyText } from "./pod-status.ts";

const containerStatus = (more: Partial<ContainerStatus>): ContainerStatus => ({
  name: "web",
  image: "",
  imageID: "",
  ready: false,
  restartCount: 0,
  ...more,
});
const pod = (statuses: Partial<ContainerStatus>[], status: object = {}, metadata: object = {}): Pod =>
  ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p", ...metadata },
    spec: { containers: statuses.map(() => ({ name: "web" })) },
    status: { phase: "Running", containerStatuses: statuses.map(containerStatus), ...status },
  }) as Pod;
const running = { state: { running: {} }, ready: true };
const ended = (exitCode: number, reason = exitCode === 0 ? "Completed" : "Error") => ({
  terminated: { exitCode, reason, containerID: `c${exitCode}` },
});

const notes: { does: string; before?: Pod; after: Pod; want: string[] }[] = [
  {
    does: "says nothing of a pod that runs",
    before: pod([{ state: { waiting: { reason: "ContainerCreating" } } }]),
    after: pod([running]),
    want: [],
  },
  { does: "says how a container ended", before: pod([running]), after: pod([{ state: ended(3) }]), want: ["trouble web exited with 3"] },
  { does: "says it once", before: pod([{ state: ended(3) }]), after: pod([{ state: ended(3) }]), want: [] },
  {
    does: "says why where it is no plain end",
    before: pod([running]),
    after: pod([{ state: ended(137, "OOMKilled") }]),
    want: ["trouble web exited with 137 (OOMKilled)"],
  },
  {
    does: "says why a container could not be started, which has no id then",
    before: pod([{ state: { waiting: { reason: "ContainerCreating" } } }]),
    after: pod([{ state: { terminated: { exitCode: 128, reason: "StartError", message: "no such program" } } }]),
    want: ["trouble web exited with 128 (StartError): no such program"],
  },
  {
    does: "counts restarts, with how the last instance ended",
    before: pod([running]),
    after: pod([{ ...running, restartCount: 1, lastState: ended(1) }]),
    want: ["trouble web exited with 1", "info web restarted, for the 1st time"],
  },
  {
    does: "says why a container waits, at the first look too",
    after: pod([{ state: { waiting: { reason: "ErrImagePull", message: "no such image" } } }]),
    want: ["trouble web ErrImagePull: no such image"],
  },
  {
    does: "does not repeat what a failed pull said",
    before: pod([{ state: { waiting: { reason: "ErrImagePull", message: "no such image" } } }]),
    after: pod([{ state: { waiting: { reason: "ImagePullBackOff", message: "Back-off pulling image: ErrImagePull: no such image" } } }]),
    want: ["trouble web ImagePullBackOff: Back-off pulling image"],
  },
  {
    does: "is calm about containers that are stopped",
    before: pod([running]),
    after: pod([{ state: ended(143) }], {}, { deletionTimestamp: "x" }),
    want: ["info web exited with 143"],
  },
  {
    does: "says why a pod failed",
    after: pod([], { phase: "Failed", reason: "Evicted", message: "too much" }),
    want: ["trouble  Evicted: too much"],
  },
];
for (const { does, before, after, want } of notes) {
  test(`podNotes() ${does}`, () => {
    assert.deepEqual(
      podNotes(before, after).map(({ level, container = "", text }) => `${level} ${container} ${text}`),
      want,
    );
  });
}

const statuses: [string, Pod][] = [
  ["Running", pod([running])],
  ["Terminating", pod([running], {}, { deletionTimestamp: "x" })],
  ["CrashLoopBackOff", pod([{ state: { waiting: { reason: "CrashLoopBackOff" } } }])],
  ["ErrImagePull", pod([{ state: { waiting: { reason: "ErrImagePull" } } }], { phase: "Pending" })],
  ["Pending", pod([], { phase: "Pending" })],
  ["Completed", pod([{ state: ended(0) }], { phase: "Succeeded" })],
  ["NotReady", pod([{ state: ended(0) }, running])],
  ["Evicted", pod([], { phase: "Failed", reason: "Evicted" })],
];
for (const [text, given] of statuses) {
  test(`podStatusText() says ${text}`, () => assert.equal(podStatusText(given), text));
}

test("readyText() counts ready containers of all", () => assert.equal(readyText(pod([running, { state: ended(0) }])), "1/2"));
