import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger } from "@peapod/kit";
import { NftTable, parseListing } from "./nft-table.ts";
import { leaveForOwnMachine, sh } from "../test-world.fixture.ts";

leaveForOwnMachine();

test("parseListing() tells elements, and all else without the numbers that the kernel gives", () => {
  const listing = (handle: number, elem: unknown[]): string =>
    JSON.stringify({
      nftables: [
        { metainfo: { version: "1.0.6" } },
        { table: { family: "ip", name: "t", handle } },
        { set: { name: "s", type: "ifname", handle, elem: ["eth0"] } },
        { map: { name: "m", type: ["inet_proto", "inet_service"], map: "ipv4_addr", handle, elem } },
        { rule: { chain: "c", handle, expr: [{ drop: null }] } },
      ],
    });
  const one = parseListing(listing(1, [[{ concat: ["tcp", 80] }, { concat: ["10.1.2.3", 8080] }]]));
  assert.deepEqual(one.elements, { s: ["eth0"], m: ["tcp . 80 : 10.1.2.3 . 8080"] });
  assert.equal(one.frame, parseListing(listing(2, [])).frame);
  assert.notEqual(one.frame, parseListing(listing(1, []).replace("drop", "accept")).frame);
});

test("ensure() makes a table anew where anything of it was changed, and leaves one that is well alone", async () => {
  const warnings: string[] = [];
  const log = { ...silentLogger, warn: (message: string) => void warnings.push(message) };
  const table = new NftTable({
    family: "ip",
    name: "t",
    render: () =>
      "table ip t { set s { type inet_service; elements = { 80, 81 }; }; chain c { type filter hook input priority 0; tcp dport @s accept; }; }\n",
    elements: () => ({ s: ["81", "80"] }),
    log,
  });
  await table.inTurn(() => table.replace());
  const well = sh("nft list table ip t");
  await table.ensure();
  assert.deepEqual(warnings, []);
  for (const damage of ["delete element ip t s { 80 }", "add element ip t s { 82 }", "flush chain ip t c", "delete table ip t"]) {
    sh(`nft '${damage}'`);
    await table.ensure();
    assert.equal(sh("nft list table ip t"), well, damage);
    assert.equal(warnings.splice(0).length, 1, damage);
  }
  await table.remove();
  await table.remove();
  assert.equal(await table.isThere(), false);
});

test("ensure() does not take how another nft writes elements for damage", async () => {
  const warnings: string[] = [];
  const log = { ...silentLogger, warn: (message: string) => void warnings.push(message) };
  const render = (): string => "table ip t { set s { type inet_service; elements = { 80 }; }; }\n";
  const table = new NftTable({ family: "ip", name: "t", render, elements: () => ({ s: ["http"] }), log });
  await table.inTurn(() => table.replace());
  await table.ensure();
  assert.deepEqual(warnings, []);
  await table.remove();
});
