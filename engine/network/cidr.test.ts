import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { contains, formatAddress, formatCidr, overlaps, parseAddress, parseCidr } from "./cidr.ts";
import { chooseCidr, parseRoutes } from "./choose-cidr.ts";
import { deviceName, networkNames, podMac } from "./names.ts";

const anyCidr = fc
  .tuple(fc.nat(0xffff_ffff), fc.integer({ min: 0, max: 32 }))
  .map(([address, prefix]) => parseCidr(`${formatAddress(address)}/${prefix}`) ?? assert.fail());

test("parseAddress() is the inverse of formatAddress()", () => {
  fc.assert(fc.property(fc.nat(0xffff_ffff), (address) => parseAddress(formatAddress(address)) === address));
  for (const bad of ["", "1.2.3", "1.2.3.256", "1.2.3.4.5", "::1", "a.b.c.d", "1.2.3.4/8"]) assert.equal(parseAddress(bad), undefined, bad);
});

test("parseCidr() drops the bits after the prefix", () => {
  const cases: [string, string | undefined][] = [
    ["10.1.2.3/24", "10.1.2.0/24"],
    ["255.255.255.255/1", "128.0.0.0/1"],
    ["10.1.2.3", "10.1.2.3/32"],
    ["1.2.3.4/0", "0.0.0.0/0"],
    ["10.0.0.0/33", undefined],
    ["10.0.0.0/", undefined],
    ["10.0.0.0/8/8", undefined],
    ["fd00::/8", undefined],
  ];
  for (const [text, want] of cases) {
    const cidr = parseCidr(text);
    assert.equal(cidr === undefined ? undefined : formatCidr(cidr), want, text);
  }
});

test("overlaps() holds exactly where one block has the other's first address", () => {
  fc.assert(fc.property(anyCidr, anyCidr, (a, b) => overlaps(a, b) === (contains(a, b.base) || contains(b, a.base))));
});

test("chooseCidr() gives a free /24, another for another seed, and undefined when all is taken", () => {
  fc.assert(
    fc.property(fc.array(anyCidr, { maxLength: 5 }), fc.nat(0xffff_ffff), (taken, seed) => {
      const chosen = chooseCidr(taken, seed);
      return chosen === undefined ? taken.some((cidr) => cidr.prefixLength < 24) : !taken.some((cidr) => overlaps(cidr, chosen));
    }),
  );
  assert.notDeepEqual(chooseCidr([], 1), chooseCidr([], 2));
  const ten = parseCidr("10.0.0.0/8") ?? assert.fail();
  assert.match(formatCidr(chooseCidr([ten], 0) ?? assert.fail()), /^172\.28\.0\.0\/24$/);
  assert.equal(chooseCidr([parseCidr("0.0.0.0/1") ?? assert.fail(), parseCidr("128.0.0.0/1") ?? assert.fail()], 0), undefined);
});

test("parseRoutes() takes every table's routes but the default", () => {
  const json = JSON.stringify([
    { dst: "default", gateway: "192.0.2.1", dev: "eth0" },
    { dst: "192.0.2.0/24", dev: "eth0" },
    { type: "local", dst: "127.0.0.0/8", dev: "lo", table: "local" },
    { type: "blackhole", dst: "10.9.0.0/16" },
    { dst: "fd00::/64", dev: "eth0" },
  ]);
  assert.deepEqual(
    parseRoutes(json).map((route) => `${formatCidr(route.destination)} ${route.device}`),
    ["192.0.2.0/24 eth0", "127.0.0.0/8 lo", "10.9.0.0/16 "],
  );
  assert.deepEqual(parseRoutes(""), []);
});

test("networkNames() fits what the kernel allows, and tells engines apart", () => {
  for (const id of ["0abcdef1", "a-much-longer-engine-id-than-usual"]) {
    assert.ok(networkNames(id).bridge.length <= 15);
    assert.match(networkNames(id).bridgeMac, /^0a:59(:[0-9a-f]{2}){4}$/);
  }
  assert.notEqual(networkNames("a-much-longer-engine-id-than-usual").bridge, networkNames("a-much-longer-engine-id-than-usuaL").bridge);
  assert.equal(deviceName("0abcdef1", "uid").length, 15);
  assert.notEqual(deviceName("0abcdef1", "uid"), deviceName("0abcdef2", "uid"));
  assert.equal(podMac("10.1.2.3"), "0a:58:0a:01:02:03");
});
