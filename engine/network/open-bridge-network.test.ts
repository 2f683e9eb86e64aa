import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { createConnection } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "@peapod/kit";
import { hasCode } from "../errors.ts";
import { host, leaveForOwnMachine, port, setBridgeNetfilter, sh, World } from "./test-world.fixture.ts";

const { signal } = new AbortController();

leaveForOwnMachine();

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (cause) {
    assert.ok(hasCode(cause, "HOST_PORT_BUSY", "NETWORK_FAILED", "NO_FREE_ADDRESS"), String(cause));
    return `${cause.code} ${cause.message}`;
  }
  return assert.fail("It did not fail");
}

test("attach() connects pods with each other, the machine and, translated, the world outside", async () => {
  await using world = new World();
  const { network } = await world.open("aaaa0001");
  const outside = await world.outside();
  await outside.serve("TCP", "0.0.0.0", 80, "outside");
  const [a, b] = await Promise.all([world.pod(network, "pod-a"), world.pod(network, "pod-b")]);
  await a.serve("TCP", "0.0.0.0", 80, "a");
  await host.serve("TCP", "0.0.0.0", 7000, "host");
  assert.equal(await b.ask("TCP", a.ip, 80), `a ${b.ip}`);
  assert.equal(await host.ask("TCP", a.ip, 80), `a ${network.hostIP}`);
  assert.equal(await a.ask("TCP", network.hostIP, 7000), `host ${a.ip}`);
  assert.equal(await a.ask("TCP", "198.51.100.2", 80), "outside 198.51.100.1");
});

test("attach() keeps a pod's loopback to itself, with ::1, and the machine's from the pods", async () => {
  await using world = new World();
  const { network } = await world.open("aaaa0002");
  const [a, b] = await Promise.all([world.pod(network, "pod-a"), world.pod(network, "pod-b")]);
  await a.serve("TCP", "127.0.0.1", 80, "private");
  await a.serve("TCP", "::1", 81, "private6");
  assert.equal(await a.ask("TCP", "127.0.0.1", 80), "private 127.0.0.1");
  assert.equal(await a.ask("TCP", "::1", 81), "private6 ::1");
  for (const other of [b, host]) assert.equal(await other.ask("TCP", a.ip, 80), "ECONNREFUSED");
  // A pod with rights enough to send packets for 127.0.0.1 out by its eth0: to the bridge, which takes such because of route_localnet, and to
  // another pod. One packet is enough to do harm, so what counts is what arrives.
  let arrived = 0;
  const secret = createSocket("udp4", () => arrived++);
  await new Promise<void>((resolve) => secret.bind(7001, "127.0.0.1", resolve));
  await a.serve("UDP", "127.0.0.1", 7001, "private");
  const routes = "ip route del local 127.0.0.0/8 dev lo table local; ip route del local 127.0.0.1 dev lo table local;";
  b.sh(`sysctl -q net.ipv4.conf.all.route_localnet=1; ${routes} ip route add 127.0.0.1 via ${network.hostIP} src ${b.ip}`);
  assert.equal(await b.ask("UDP", "127.0.0.1", 7001), "TIMEOUT");
  b.sh(`ip route replace 127.0.0.1 via ${a.ip} src ${b.ip}`);
  assert.equal(await b.ask("UDP", "127.0.0.1", 7001), "TIMEOUT");
  secret.close();
  assert.equal(arrived, 0);
  assert.doesNotMatch(a.sh("ip -6 addr show dev eth0"), /inet6/);
});

for (const netfilter of [false, true]) {
  test(`attach() publishes ports for everybody, bridge netfilter ${netfilter ? "on" : "off"}`, async () => {
    await using world = new World();
    assert.ok(setBridgeNetfilter(netfilter));
    const { network } = await world.open("aaaa0003");
    const outside = await world.outside();
    const ports = [
      port(8080, 80),
      port(8053, 53, { protocol: "UDP" }),
      port(8081, 80, { hostIP: "127.0.0.1" }),
      port(8082, 80, { hostIP: "198.51.100.1" }),
    ];
    const [a, b] = await Promise.all([world.pod(network, "pod-a", ports), world.pod(network, "pod-b")]);
    await a.serve("TCP", "0.0.0.0", 80, "a");
    await a.serve("UDP", "0.0.0.0", 53, "a");
    const everywhere = ["127.0.0.1", "127.0.0.9", "198.51.100.1", network.hostIP];
    for (const address of everywhere) {
      for (const [protocol, number] of [
        ["TCP", 8080],
        ["UDP", 8053],
      ] as const) {
        const from = address.startsWith("127.") ? network.hostIP : address;
        assert.equal(await host.ask(protocol, address, number), `a ${from}`, `the machine, ${protocol} by ${address}`);
        if (address.startsWith("127.")) continue;
        assert.equal(await b.ask(protocol, address, number), `a ${network.hostIP}`, `another pod, ${protocol} by ${address}`);
        assert.equal(await a.ask(protocol, address, number), `a ${network.hostIP}`, `the same pod, ${protocol} by ${address}`);
      }
    }
    assert.equal(await outside.ask("TCP", "198.51.100.1", 8080), "a 198.51.100.2");
    assert.equal(await outside.ask("UDP", "198.51.100.1", 8053), "a 198.51.100.2");
    assert.equal(await host.ask("TCP", "127.0.0.1", 8081), `a ${network.hostIP}`);
    assert.equal(await outside.ask("TCP", "198.51.100.1", 8081), "ECONNREFUSED");
    assert.equal(await outside.ask("TCP", "198.51.100.1", 8082), "a 198.51.100.2");
    assert.equal(await host.ask("TCP", "127.0.0.1", 8082), "ECONNREFUSED");
    await network.detach("pod-a", signal);
    assert.equal(await host.ask("TCP", "127.0.0.1", 8080), "ECONNREFUSED");
    assert.equal(await outside.ask("TCP", "198.51.100.1", 8080), "ECONNREFUSED");
  });
}

test("attach() takes over UDP flows that never pause, from nobody and from the pod before", async () => {
  await using world = new World();
  const { network } = await world.open("aaaa000e");
  const outside = await world.outside();
  const [a, b] = await Promise.all([world.agent(), world.agent()]);
  const flow = createSocket("udp4");
  let heard = "";
  flow.on("message", (message) => (heard = message.toString().trim()));
  const timer = setInterval(() => flow.send("hello", 8053, "198.51.100.1", () => {}), 10);
  const publish = port(8053, 53, { protocol: "UDP" });
  try {
    await new Promise<void>((resolve) => flow.send("first", 8053, "198.51.100.1", () => resolve()));
    for (const [uid, agent] of [
      ["pod-a", a],
      ["pod-b", b],
    ] as const) {
      await network.attach(uid, agent.netns, [publish], AbortSignal.timeout(5_000));
      await agent.serve("UDP", "0.0.0.0", 53, uid);
      await eventually(() => heard.startsWith(uid), { withinMs: 2_000 });
      await network.detach(uid, signal);
    }
  } finally {
    clearInterval(timer);
    flow.close();
  }
  assert.equal(await outside.ask("UDP", "198.51.100.1", 8053), "ECONNREFUSED");
});

test("attach() says who has a host port, and leaves nothing of the failed connection", async () => {
  await using world = new World();
  const { network } = await world.open("aaaa0004");
  const { network: other } = await world.open("bbbb0004");
  await world.pod(network, "pod-a", [port(8080, 80), port(8443, 443, { hostIP: "127.0.0.1" })]);
  await world.pod(other, "pod-o", [port(9090, 90)]);
  await host.serve("TCP", "127.0.0.1", 7002, "x");
  await host.serve("UDP", "0.0.0.0", 7002, "x");
  await host.serve("TCP", "::", 7003, "x"); // takes IPv4, too
  const agent = await world.agent();
  const attach = (...ports: ReturnType<typeof port>[]): Promise<unknown> =>
    network.attach("pod-b", agent.netns, ports, AbortSignal.timeout(5_000));
  assert.equal(await codeOf(attach(port(8080, 1))), "HOST_PORT_BUSY Host port 8080/TCP is taken by pod pod-a");
  assert.equal(
    await codeOf(attach(port(8080, 1, { hostIP: "127.0.0.1" }))),
    "HOST_PORT_BUSY Host port 8080/TCP on 127.0.0.1 is taken by pod pod-a",
  );
  assert.equal(await codeOf(attach(port(8443, 1))), "HOST_PORT_BUSY Host port 8443/TCP is taken by pod pod-a");
  assert.equal(
    await codeOf(attach(port(9090, 1))),
    "HOST_PORT_BUSY Host port 9090/TCP is taken by another engine (nftables table peapod-bbbb0004)",
  );
  assert.match(
    await codeOf(attach(port(7002, 1))),
    new RegExp(`^HOST_PORT_BUSY Host port 7002/TCP is taken by process .* \\(pid ${process.pid}\\)$`),
  );
  assert.match(await codeOf(attach(port(7002, 1, { protocol: "UDP" }))), /^HOST_PORT_BUSY Host port 7002\/UDP is taken by process/);
  assert.match(
    await codeOf(attach(port(7003, 1, { hostIP: "127.0.0.1" }))),
    /^HOST_PORT_BUSY Host port 7003\/TCP on 127.0.0.1 is taken by process/,
  );
  assert.match(await codeOf(attach(port(5000, 1), port(5000, 2))), /taken by another container of the same pod/);
  assert.match(await codeOf(attach(port(5000, 1, { hostIP: "::1" }))), /^NETWORK_FAILED .*IPv4/);
  assert.doesNotMatch(agent.sh("ip link"), /eth0/);
  await attach(port(8080, 1, { protocol: "UDP" }), port(8443, 1, { hostIP: "127.0.0.2" }), port(7002, 1, { hostIP: "198.51.100.1" }));
  await network.detach("pod-a", signal);
  await world.pod(network, "pod-c", [port(8080, 80)]);
});

test("attach() changes nothing when repeated, and makes a half-made connection anew", async () => {
  await using world = new World();
  const { network, scope } = await world.open("aaaa0005");
  const agent = await world.agent();
  const attach = (which = network): Promise<unknown> => which.attach("pod-a", agent.netns, [port(8080, 80)], AbortSignal.timeout(5_000));
  const before = await attach();
  const link = agent.sh("ip -o link show dev eth0");
  assert.deepEqual(await attach(), before);
  assert.equal(agent.sh("ip -o link show dev eth0"), link);
  await scope[Symbol.asyncDispose](); // keeps the pod
  // As a crash leaves it before the connection was noted.
  const record = join(world.dir, "aaaa0005/network/pods/pod-a.json");
  writeFileSync(record, JSON.stringify({ ip: JSON.parse(readFileSync(record, "utf8")).ip }));
  agent.sh("ip addr flush dev eth0");
  const { network: next } = await world.open("aaaa0005");
  assert.deepEqual(await attach(next), before);
  await agent.serve("TCP", "0.0.0.0", 80, "a");
  assert.equal(await host.ask("TCP", "127.0.0.1", 8080), `a ${next.hostIP}`);
  // Another sandbox for the same pod.
  const second = await world.agent();
  assert.deepEqual(await next.attach("pod-a", second.netns, [], AbortSignal.timeout(5_000)), before);
  assert.doesNotMatch(agent.sh("ip link"), /eth0/);
  assert.equal(await host.ask("TCP", "127.0.0.1", 8080), "ECONNREFUSED");
  await assert.rejects(next.attach("pod-x", "/nowhere", [], AbortSignal.timeout(1_000)), /is not there/);
});

test("openBridgeNetwork() takes over from a killed engine without a gap", async () => {
  await using world = new World();
  const first = await world.open("aaaa0006");
  const outside = await world.outside();
  const a = await world.pod(first.network, "pod-a", [port(8080, 80)]);
  await a.serve("TCP", "0.0.0.0", 80, "a");
  await outside.serve("TCP", "0.0.0.0", 80, "outside");
  const socket = createConnection({ host: "127.0.0.1", port: 8080 });
  const say = async (): Promise<string> => {
    const heard = new Promise<Buffer>((resolve) => socket.once("data", resolve));
    socket.write("hello\n");
    return (await heard).toString().trim();
  };
  assert.equal(await say(), `a ${first.network.hostIP}`);
  const devices = sh("ip -o link | cut -d: -f1,2");
  const second = await world.open("aaaa0006"); // the first is not closed: as if it had been killed
  assert.equal(second.network.podCIDR, first.network.podCIDR);
  assert.equal(await say(), `a ${first.network.hostIP}`);
  assert.equal(await outside.ask("TCP", "198.51.100.1", 8080), "a 198.51.100.2");
  assert.equal(await a.ask("TCP", "198.51.100.2", 80), "outside 198.51.100.1");
  assert.equal(sh("ip -o link | cut -d: -f1,2"), devices);
  assert.deepEqual(await second.network.listPods(), ["pod-a"]);
  assert.match(await codeOf(world.pod(second.network, "pod-b", [port(8080, 1)])), /taken by pod pod-a/);
  socket.destroy();
});

test("openBridgeNetwork() finds its way from wherever the engine before was killed", async () => {
  await using world = new World();
  const agents = await Promise.all([world.agent(), world.agent(), world.agent()]);
  const churn = new URL("./network-churn.fixture.ts", import.meta.url).pathname;
  for (let round = 0; round < 6; round++) {
    const args = [churn, join(world.dir, "aaaa000f"), join(world.dir, "lock"), "aaaa000f", ...agents.map((agent) => agent.netns)];
    const engine = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const ended = new Promise((resolve) => engine.once("close", resolve));
    await new Promise((resolve) => engine.stdout.once("data", resolve));
    await delay(Math.random() * 60); // the moment of the kill is what varies
    engine.kill("SIGKILL");
    await ended;
    const { network, scope } = await world.open("aaaa000f");
    const pods = await Promise.all(
      agents.map(async (agent, index) => {
        const { ip } = await network.attach(`pod-${index}`, agent.netns, [port(8080 + index, 80)], AbortSignal.timeout(5_000));
        if (round === 0) await agent.serve("TCP", "0.0.0.0", 80, `pod-${index}`);
        return ip;
      }),
    );
    assert.equal(await agents[0]?.ask("TCP", pods[1] ?? "", 80), `pod-1 ${pods[0]}`);
    assert.equal(await host.ask("TCP", "127.0.0.1", 8082), `pod-2 ${network.hostIP}`);
    for (const podUid of await network.listPods()) await network.detach(podUid, signal);
    await scope[Symbol.asyncDispose]();
    assert.doesNotMatch(sh("ip link; nft list ruleset"), /ppv|aaaa000f/);
  }
});

test("openBridgeNetwork() clears away devices without a pod, and connections without a namespace", async () => {
  await using world = new World();
  const first = await world.open("aaaa0007");
  const [a, b] = await Promise.all([
    world.pod(first.network, "pod-a", [port(8080, 80)]),
    world.pod(first.network, "pod-b", [port(8081, 80)]),
  ]);
  sh(
    `rm ${world.dir}/aaaa0007/network/pods/pod-a.json; echo half >${world.dir}/aaaa0007/network/pods/pod-z.json; mkdir -p ${world.dir}/aaaa0007/network/pods/pod-y.json/in`,
  );
  b.sh("ip link del eth0");
  const record = `${world.dir}/aaaa0007/network/pods/pod-b.json`;
  writeFileSync(record, readFileSync(record, "utf8").replace(/"\/proc[^"]*"/, '"/gone"')); // as after a reboot
  const { network } = await world.open("aaaa0007");
  assert.doesNotMatch(sh("ip link"), /ppv/);
  assert.doesNotMatch(a.sh("ip link"), /eth0/);
  assert.doesNotMatch(sh("nft list ruleset"), /808[01]/);
  assert.deepEqual(await network.listPods(), ["pod-b"]);
  assert.equal((await network.reserve("pod-b", signal)).ip, b.ip);
});

test("close() removes everything when no pod is left, and nothing before", async () => {
  await using world = new World();
  const first = await world.open("aaaa0008");
  const other = await world.open("bbbb0008");
  const a = await world.pod(first.network, "pod-a", [port(8080, 80)]);
  await a.serve("TCP", "0.0.0.0", 80, "a");
  await first.scope[Symbol.asyncDispose]();
  assert.equal(await host.ask("TCP", "127.0.0.1", 8080), `a ${first.network.hostIP}`);
  const second = await world.open("aaaa0008");
  await second.network.detach("pod-a", signal);
  await second.network.detach("pod-a", signal);
  assert.deepEqual(readdirSync(join(world.dir, "aaaa0008/network/pods")), []);
  await second.scope[Symbol.asyncDispose]();
  assert.doesNotMatch(sh("ip link; nft list ruleset"), /aaaa0008|ppv/);
  assert.match(sh("ip link; nft list ruleset"), /pp-bbbb0008[\s\S]*peapod-bbbb0008/);
  await other.scope[Symbol.asyncDispose]();
  assert.equal(sh("nft list ruleset"), "");
});

test("detach() removes the device also where a process keeps the namespace alive", async () => {
  await using world = new World();
  const { network } = await world.open("aaaa0009");
  const a = await world.pod(network, "pod-a");
  await network.detach("pod-a", signal);
  assert.doesNotMatch(a.sh("ip link"), /eth0/);
  await network.detach("pod-a", signal);
  await network.detach("pod-never", signal);
});

test("reserve() gives each pod its own address, the same each time, a freed one last, and says when there are none", async () => {
  await using world = new World();
  const { network } = await world.open("aaaa000a", { podCIDR: "10.9.8.0/29" });
  assert.equal(network.podCIDR, "10.9.8.0/29");
  assert.equal(network.hostIP, "10.9.8.1");
  const ips: string[] = [];
  for (const uid of ["a", "b", "c", "a"]) ips.push((await network.reserve(uid, signal)).ip);
  assert.deepEqual(ips, ["10.9.8.2", "10.9.8.3", "10.9.8.4", "10.9.8.2"]);
  await network.detach("a", signal);
  const { network: next } = await world.open("aaaa000a", { podCIDR: "10.9.8.0/29" });
  for (const uid of ["d", "e", "f"]) ips.push((await next.reserve(uid, signal)).ip);
  assert.deepEqual(ips.slice(4), ["10.9.8.5", "10.9.8.6", "10.9.8.2"]);
  assert.match(await codeOf(next.reserve("g", signal)), /^NO_FREE_ADDRESS All 5 addresses of the pod network 10.9.8.0\/29 are in use/);
  for (const uid of ["a", "b", "c", "d", "e", "f"]) await next.detach(uid, signal);
});

test("openBridgeNetwork() gives engines that start at once networks of their own", async () => {
  await using world = new World();
  // Ids that make them all begin to look at the same block.
  const opened = await Promise.all(["10000abc", "20000abc", "30000abc", "40000abc"].map((id) => world.open(id)));
  assert.equal(new Set(opened.map(({ network }) => network.podCIDR)).size, 4);
  const [a, b] = await Promise.all(
    opened.slice(0, 2).map(({ network }, index) => world.pod(network, `pod-${index}`, [port(8080 + index, 80)])),
  );
  await a?.serve("TCP", "0.0.0.0", 80, "a");
  assert.equal(await b?.ask("TCP", a?.ip ?? "", 80), `a ${opened[0]?.network.hostIP}`); // leaving b's network it is translated
  assert.equal(await b?.ask("TCP", opened[1]?.network.hostIP ?? "", 8080), `a ${opened[0]?.network.hostIP}`);
});

test("openBridgeNetwork() stays out of the way of others' routes, and moves when it has no pods", async () => {
  await using world = new World();
  sh("ip link add foreign0 type bridge; ip addr add 10.20.30.1/24 dev foreign0; ip link set foreign0 up");
  try {
    const { network, scope } = await world.open("aaaa000b");
    const { network: other } = await world.open("bbbb000b");
    assert.notEqual(network.podCIDR, other.podCIDR);
    await world.pod(network, "pod-a");
    sh(`ip route add ${network.podCIDR.replace("/24", "/28")} dev foreign0 table 77`);
    const warnings: string[] = [];
    const logger = {
      error: () => {},
      info: () => {},
      debug: () => {},
      warn: (message: string, fields?: object) => void warnings.push(`${message} ${JSON.stringify(fields)}`),
      with: () => logger,
    };
    const { network: stays } = await world.open("aaaa000b", { log: logger });
    assert.equal(stays.podCIDR, network.podCIDR);
    assert.match(warnings[0] ?? "", /stays as it is while pods are connected.*a route to 10\..* by foreign0 exists/);
    await stays.detach("pod-a", signal);
    await scope[Symbol.asyncDispose]();
    const { network: moved } = await world.open("aaaa000b", { log: logger });
    assert.notEqual(moved.podCIDR, network.podCIDR);
    await assert.rejects(
      world.open("cccc000b", { podCIDR: "10.20.0.0/16" }),
      /would cover what this machine routes elsewhere: a route to 10\.20\.30\./,
    );
    await assert.rejects(world.open("dddd000b", { podCIDR: "10.20.0.0/31" }), /no IPv4 block between/);
  } finally {
    sh("ip link del foreign0");
  }
});
