import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { silentLogger } from "@peapod/kit";
import { deviceName } from "./names.ts";
import { host, leaveForOwnMachine, port, setBridgeNetfilter, sh, World } from "./test-world.fixture.ts";

const { signal } = new AbortController();

leaveForOwnMachine();

/** Has an agent send what it thinks is its own by its eth0. */
const withoutLoopback =
  "sysctl -q net.ipv4.conf.all.route_localnet=1; ip route del local 127.0.0.0/8 dev lo table local; ip route del local 127.0.0.1 dev lo table local;";

for (const netfilter of [false, true])
  test(`a neighbour with a route reaches what is published for it, and nothing else, bridge netfilter ${netfilter ? "on" : "off"}`, async () => {
    await using world = new World();
    assert.ok(setBridgeNetfilter(netfilter));
    const { network } = await world.open("aaab0001");
    const { network: other } = await world.open("bbbb0001");
    const outside = await world.outside();
    const ports = [port(8080, 80), port(8081, 80, { hostIP: "127.0.0.1" }), port(8053, 53, { protocol: "UDP", hostIP: "127.0.0.1" })];
    const a = await world.pod(network, "pod-a", ports);
    const b = await world.pod(network, "pod-b");
    const foreign = await world.pod(other, "pod-c");
    await a.serve("TCP", "0.0.0.0", 80, "a");
    await a.serve("UDP", "0.0.0.0", 53, "a");
    await outside.serve("UDP", "0.0.0.0", 53, "outside");
    outside.sh(`ip route add ${network.podCIDR} via 198.51.100.1`);
    outside.sh(`${withoutLoopback} ip route add 127.0.0.1 via 198.51.100.1 src 198.51.100.2`);
    sh(
      `nft 'table ip watch { counter passed {}; chain passing { type filter hook postrouting priority 300; oifname "pp-aaab0001" ip saddr 198.51.100.2 counter name passed; }; }'`,
    );
    assert.deepEqual(
      await Promise.all([
        outside.ask("TCP", a.ip, 80),
        outside.ask("UDP", a.ip, 53),
        outside.ask("TCP", "127.0.0.1", 8081),
        outside.ask("UDP", "127.0.0.1", 8053),
        outside.ask("TCP", network.hostIP, 8081),
      ]),
      ["TIMEOUT", "TIMEOUT", "TIMEOUT", "TIMEOUT", "ECONNREFUSED"],
    );
    assert.match(sh("nft list counter ip watch passed"), /packets 0 /); // one packet is enough to do harm, answered or not
    assert.equal(await outside.ask("TCP", "198.51.100.1", 8080), "a 198.51.100.2");
    assert.doesNotMatch(sh("nft list counter ip watch passed"), /packets 0 /);
    assert.equal(await host.ask("TCP", "127.0.0.1", 8081), `a ${network.hostIP}`);
    assert.equal(await host.ask("UDP", "127.0.0.1", 8053), `a ${network.hostIP}`);
    assert.equal(await host.ask("TCP", a.ip, 80), `a ${network.hostIP}`);
    assert.equal(await b.ask("TCP", a.ip, 80), `a ${b.ip}`);
    assert.equal(await a.ask("UDP", "198.51.100.2", 53), "outside 198.51.100.1");
    assert.equal(await foreign.ask("TCP", a.ip, 80), `a ${network.hostIP}`);
    assert.equal(await foreign.ask("TCP", "198.51.100.1", 8080), `a ${network.hostIP}`);
  });

test("a pod speaks in nobody else's name: not another pod's, the machine's, the world's, or a loopback's", async () => {
  await using world = new World();
  const { network } = await world.open("aaab0002");
  const [a, b] = await Promise.all([world.pod(network, "pod-a"), world.pod(network, "pod-b")]);
  const nobody = (await network.reserve("pod-nobody", signal)).ip;
  const heard: string[] = [];
  await using listening = createSocket("udp4", (_message, from) => {
    heard.push(from.address);
    listening.send("answer", from.port, from.address);
  });
  await new Promise<void>((resolve) => listening.bind(7004, "0.0.0.0", resolve));
  const say = (from: string): Promise<string> => b.ask("UDP", network.hostIP, 7004, from);
  assert.equal(await say(b.ip), "answer");

  const names = ["203.0.113.9", "127.0.0.1", a.ip, nobody];
  b.sh(`${withoutLoopback} ip addr del 127.0.0.1/8 dev lo; for ip in ${names.join(" ")}; do ip addr add $ip/32 dev eth0; done`);
  await Promise.all(names.map(say));
  // Nor is it believed to be where such an address is: the machine, and the other pod, ask for it.
  await b.serve("TCP", "0.0.0.0", 80, "b");
  for (const answer of await Promise.all([host.ask("TCP", nobody, 80), a.ask("TCP", nobody, 80)])) assert.doesNotMatch(answer, /^b/);
  b.sh(`for ip in ${names.join(" ")}; do ip addr del $ip/32 dev eth0; done`);
  assert.equal(await a.ask("TCP", b.ip, 80), `b ${a.ip}`);

  const macOf = (agent: typeof a): string => /link\/ether ([0-9a-f:]+)/.exec(agent.sh("ip link show dev eth0"))?.[1] ?? "";
  const [own, other] = [macOf(b), macOf(a)];
  for (const mac of [other, "0a:58:00:00:00:01"]) {
    b.sh(`ip link set eth0 address ${mac}`);
    await say(b.ip);
  }
  assert.deepEqual(heard, [b.ip]);

  // Nor by a frame for the bridge itself, which no rule sees: what is for the other pod would be brought here.
  b.sh(`ip link set eth0 address ${other}`);
  for (const group of ["00", "02", "03", "0e", "21"]) {
    b.sh(`ip neigh replace ${network.hostIP} lladdr 01:80:c2:00:00:${group} dev eth0`);
    await say(b.ip);
  }
  b.sh(`ip neigh del ${network.hostIP} dev eth0`);
  assert.ok(!sh(`bridge fdb show dev ${deviceName("aaab0002", "pod-b")}`).includes(other));
  b.sh(`ip link set eth0 address ${own}`);
  assert.equal(await say(b.ip), "answer");
});

test("where the kernel has no nftables for bridges, a pod still speaks in the name of no address outside of the pod network", async (t) => {
  await using world = new World();
  const real = sh("command -v nft").trim();
  const refuse = 'case "$input" in *"table bridge"*) echo "Operation not supported" >&2; exit 1;; esac';
  writeFileSync(join(world.dir, "nft"), `#!/bin/sh\ninput=$(cat)\n${refuse}\nprintf "%s" "$input" | exec ${real} "$@"\n`, { mode: 0o755 });
  const path = process.env["PATH"] ?? "";
  process.env["PATH"] = `${world.dir}:${path}`;
  t.after(() => (process.env["PATH"] = path));
  const warnings: string[] = [];
  const { network } = await world.open("aaab0003", { log: { ...silentLogger, warn: (message) => void warnings.push(message) } });
  assert.match(warnings.join(), /^pods cannot be kept from taking each other's addresses/);
  const [a, b] = await Promise.all([world.pod(network, "pod-a"), world.pod(network, "pod-b")]);
  const heard: string[] = [];
  await using listening = createSocket("udp4", (_message, from) => {
    heard.push(from.address);
    listening.send("answer", from.port, from.address);
  });
  await new Promise<void>((resolve) => listening.bind(7005, "0.0.0.0", resolve));
  const names = ["203.0.113.9", "127.0.0.1"];
  b.sh(`${withoutLoopback} ip addr del 127.0.0.1/8 dev lo; for ip in ${names.join(" ")}; do ip addr add $ip/32 dev eth0; done`);
  await Promise.all(names.map((name) => b.ask("UDP", network.hostIP, 7005, name)));
  assert.equal(await a.ask("UDP", network.hostIP, 7005), "answer");
  assert.deepEqual(heard, [a.ip]);
  await network.detach("pod-b", signal);
});
