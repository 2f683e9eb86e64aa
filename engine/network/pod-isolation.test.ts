import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { test } from "node:test";
import { host, leaveForOwnMachine, port, setBridgeNetfilter, sh, World } from "./test-world.ts";

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
  const nobody = (await network.reserve("pod-nobody")).ip;
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
  for (const name of names) await say(name);
  // Nor is it believed to be where such an address is: the machine, and the other pod, ask for it.
  await b.serve("TCP", "0.0.0.0", 80, "b");
  assert.notEqual(await host.ask("TCP", nobody, 80), `b ${network.hostIP}`);
  assert.notEqual(await a.ask("TCP", nobody, 80), `b ${a.ip}`);
  b.sh(`for ip in ${names.join(" ")}; do ip addr del $ip/32 dev eth0; done`);
  assert.equal(await a.ask("TCP", b.ip, 80), `b ${a.ip}`);

  const macOf = (agent: typeof a): string => /link\/ether ([0-9a-f:]+)/.exec(agent.sh("ip link show dev eth0"))?.[1] ?? "";
  const [own, other] = [macOf(b), macOf(a)];
  for (const mac of [other, "0a:58:00:00:00:01"]) {
    b.sh(`ip link set eth0 address ${mac}`);
    await say(b.ip);
  }
  assert.deepEqual(heard, [b.ip]);
  b.sh(`ip link set eth0 address ${own}`);
  assert.equal(await say(b.ip), "answer");
});
