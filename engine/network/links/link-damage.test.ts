import assert from "node:assert/strict";
import { test } from "node:test";
import { findLinkDamage, type LinkDamage, type LinksSeen } from "./link-damage.ts";

const bridge = { index: 4, name: "pp-x", isUp: true, master: 0 };
const a = { index: 5, name: "ppva", isUp: true, master: 4 };
const b = { index: 6, name: "ppvb", isUp: true, master: 4 };
const well: LinksSeen = { links: [bridge, a, b], addresses: [{ index: 4, ip: "10.1.2.1", prefixLength: 24 }] };
const wanted = {
  bridge: "pp-x",
  gateway: "10.1.2.1",
  prefixLength: 24,
  devices: new Map([
    ["pod-a", "ppva"],
    ["pod-b", "ppvb"],
  ]),
};

const cases: { does: string; seen?: Partial<LinksSeen>; want?: Partial<LinkDamage> }[] = [
  { does: "nothing where all is well" },
  {
    does: "a bridge that is gone, with its pods",
    seen: {
      links: [
        { ...a, master: 0 },
        { ...b, master: 0 },
      ],
    },
    want: { isBridgeBroken: true, apart: ["pod-a", "pod-b"] },
  },
  { does: "a bridge that is down", seen: { links: [{ ...bridge, isUp: false }, a, b] }, want: { isBridgeBroken: true } },
  {
    does: "a bridge without its address",
    seen: { addresses: [{ index: 5, ip: "10.1.2.1", prefixLength: 24 }] },
    want: { isBridgeBroken: true },
  },
  {
    does: "a bridge with another prefix",
    seen: { addresses: [{ index: 4, ip: "10.1.2.1", prefixLength: 25 }] },
    want: { isBridgeBroken: true },
  },
  { does: "a device that is gone", seen: { links: [bridge, b] }, want: { lost: ["pod-a"] } },
  { does: "a device that is down", seen: { links: [bridge, { ...a, isUp: false }, b] }, want: { apart: ["pod-a"] } },
  { does: "a device on no bridge", seen: { links: [bridge, { ...a, master: 0 }, b] }, want: { apart: ["pod-a"] } },
  { does: "a device on another's bridge", seen: { links: [bridge, { ...a, master: 9 }, b] }, want: { apart: ["pod-a"] } },
];
for (const { does, seen = {}, want = {} } of cases)
  test(`findLinkDamage() finds ${does}`, () => {
    assert.deepEqual(findLinkDamage({ ...well, ...seen }, wanted), { isBridgeBroken: false, apart: [], lost: [], ...want });
  });
