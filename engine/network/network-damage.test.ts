import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import { deviceName } from "./names.ts";
import { type Agent, host, leaveForOwnMachine, port, sh, World } from "./test-world.fixture.ts";

const { signal } = new AbortController();

leaveForOwnMachine();

const ID = "aaac0001";
const BRIDGE = `pp-${ID}`;
const DEVICE = deviceName(ID, "pod-a");
const TABLE = `peapod-${ID}`;

/** All that may be damaged, as its words in order: rules and devices made anew come in another, and with other numbers. */
function stateOfMachine(): string {
  const conf = "/proc/sys/net/ipv4/conf";
  const links = sh(`ip -br link show master ${BRIDGE}; ip -br link show dev ${BRIDGE}; ip -br -4 addr show dev ${BRIDGE}`);
  const switches = sh(`cat /proc/sys/net/ipv4/ip_forward ${conf}/${BRIDGE}/forwarding ${conf}/${BRIDGE}/route_localnet`);
  const text = [links.replace(/@if\d+| [0-9a-f:]{17} /g, " "), switches, sh("nft list ruleset")].join("\n");
  return text
    .split(/[\s,]+/)
    .toSorted()
    .join(" ");
}

const damages = [
  "nft flush ruleset",
  `nft flush table ip ${TABLE}`,
  `nft delete table bridge ${TABLE}`,
  `nft flush map ip ${TABLE} ports_any`,
  `nft flush set bridge ${TABLE} pods`,
  `nft flush chain ip ${TABLE} forward`,
  `nft add rule ip ${TABLE} forward drop`,
  "echo 0 > /proc/sys/net/ipv4/ip_forward",
  `echo 0 > /proc/sys/net/ipv4/conf/${BRIDGE}/forwarding`,
  `echo 0 > /proc/sys/net/ipv4/conf/${BRIDGE}/route_localnet`,
  `ip link del ${DEVICE}`,
  `ip link set ${DEVICE} down`,
  `ip link set ${DEVICE} nomaster`,
  `ip addr flush dev ${BRIDGE}`,
  `ip link set ${BRIDGE} down`,
  `ip link del ${BRIDGE}`,
  `ip link del ${BRIDGE}; ip link del ${DEVICE}; nft flush ruleset; echo 0 > /proc/sys/net/ipv4/ip_forward`,
];

interface Scene {
  readonly a: Agent & { readonly ip: string };
  readonly b: Agent & { readonly ip: string };
  readonly outside: Agent;
}

async function assertAllConnected({ a, b, outside }: Scene, hostIP: string): Promise<void> {
  assert.equal(await host.ask("TCP", "127.0.0.1", 8080), `a ${hostIP}`);
  assert.equal(await b.ask("TCP", a.ip, 80), `a ${b.ip}`);
  assert.equal(await a.ask("TCP", "198.51.100.2", 80), "outside 198.51.100.1");
  assert.equal(await outside.ask("TCP", "198.51.100.1", 8080), "a 198.51.100.2");
}

async function setScene(world: World, options: { readonly tendEveryMs: number }) {
  const { network, scope } = await world.open(ID, options);
  const outside = await world.outside();
  await outside.serve("TCP", "0.0.0.0", 80, "outside");
  const [a, b] = await Promise.all([world.pod(network, "pod-a", [port(8080, 80)]), world.pod(network, "pod-b")]);
  await a.serve("TCP", "0.0.0.0", 80, "a");
  return { scene: { a, b, outside }, network, scope };
}

test("whatever somebody else damages of the network is mended, and the pods are connected as before", async (t) => {
  await using world = new World();
  const { scene, network } = await setScene(world, { tendEveryMs: 50 });
  await assertAllConnected(scene, network.hostIP);
  const before = stateOfMachine();
  for (const damage of damages)
    await t.test(damage, async () => {
      sh(damage);
      await eventually(() => assert.equal(stateOfMachine(), before), { withinMs: 10_000 });
      await assertAllConnected(scene, network.hostIP);
    });
  for (const podUid of ["pod-a", "pod-b"]) await network.detach(podUid, signal);
  assert.doesNotMatch(sh("ip link; nft list ruleset"), /ppv/);
});

test("openBridgeNetwork() mends what was damaged while no engine ran", async () => {
  await using world = new World();
  const { scene, network, scope } = await setScene(world, { tendEveryMs: 60_000 });
  const before = stateOfMachine();
  await scope[Symbol.asyncDispose](); // keeps the pods
  for (const damage of damages.slice(7)) {
    sh(damage);
    const next = await world.open(ID, { tendEveryMs: 60_000 });
    assert.equal(stateOfMachine(), before, damage);
    await next.scope[Symbol.asyncDispose]();
  }
  await assertAllConnected(scene, network.hostIP);
});
