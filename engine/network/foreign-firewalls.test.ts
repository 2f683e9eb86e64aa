import assert from "node:assert/strict";
import { test } from "node:test";
import { type Chain, judgeChains, judgeLegacy } from "./foreign-firewalls.ts";
import { parsePublishedPorts, parseSockets } from "./host-ports.ts";

const forward: Chain = { family: "ip", table: "filter", name: "FORWARD", hook: "forward", policy: "drop" };
const cases: { does: string; chains: Chain[]; want: string[] }[] = [
  { does: "finds nothing where all is accepted", chains: [{ ...forward, policy: "accept" }], want: [] },
  { does: "names iptables", chains: [forward], want: ["iptables"] },
  { does: "leaves Docker to the engine", chains: [forward, { family: "ip", table: "filter", name: "DOCKER-USER" }], want: [] },
  { does: "names ufw", chains: [forward, { family: "ip", table: "filter", name: "ufw-before-forward" }], want: ["ufw"] },
  {
    does: "names a plain nftables rule set",
    chains: [{ family: "inet", table: "fw", name: "fwd", hook: "forward", policy: "drop" }],
    want: ["nftables"],
  },
  {
    does: "passes over IPv6, and input",
    chains: [
      { ...forward, family: "ip6" },
      { ...forward, hook: "input" },
    ],
    want: [],
  },
  {
    does: "names firewalld, which rejects without a policy",
    chains: [{ family: "inet", table: "firewalld", name: "filter_FORWARD", hook: "forward", policy: "accept" }],
    want: ["firewalld"],
  },
];
for (const { does, chains, want } of cases) {
  test(`judgeChains() ${does}`, () => {
    const found = judgeChains(chains, "pp-x");
    assert.deepEqual(
      found.map((firewall) => firewall.name),
      want,
    );
    for (const firewall of found) assert.match(firewall.advice, /pp-x/);
  });
}

test("judgeLegacy() reads iptables-legacy's rules", () => {
  const judge = (rules: string): string[] => judgeLegacy(rules, "pp-x").map((firewall) => firewall.name);
  assert.deepEqual(judge("-P FORWARD ACCEPT\n"), []);
  assert.deepEqual(judge("-P INPUT DROP\n-P FORWARD DROP\n"), ["iptables-legacy"]);
  assert.deepEqual(judge("-P FORWARD DROP\n-N DOCKER-USER\n"), []);
  assert.deepEqual(judge("-P FORWARD DROP\n-N ufw-before-forward\n"), ["ufw"]);
});

test("parsePublishedPorts() reads engines' maps and passes others over", () => {
  const elem = [[{ concat: ["tcp", 8080] }, { concat: ["10.1.2.3", 80] }]];
  const json = JSON.stringify({
    nftables: [
      { metainfo: {} },
      { map: { family: "ip", table: "peapod-a", name: "ports_any", elem } },
      { map: { family: "ip", table: "peapod-a", name: "ports_at", elem: [[{ concat: ["127.0.0.1", "udp", 53] }, {}]] } },
      { map: { family: "ip", table: "kube-proxy", name: "ports_any", elem } },
      { map: { family: "ip", table: "peapod-b", name: "ports_any" } },
    ],
  });
  assert.deepEqual(parsePublishedPorts(json), [
    { table: "peapod-a", protocol: "TCP", port: 8080, address: undefined },
    { table: "peapod-a", protocol: "UDP", port: 53, address: "127.0.0.1" },
  ]);
});

test("parseSockets() reads addresses, IPv4 in IPv6 clothes too", () => {
  const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
  const line = (address: string): string =>
    `   0: ${address} 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0\n`;
  const parse = (address: string): string =>
    parseSockets(head + line(address))
      .map((socket) => `${socket.address} ${socket.port} ${socket.state} ${socket.inode}`)
      .join();
  assert.equal(parse("0100007F:1F90"), "127.0.0.1 8080 0A 4711");
  assert.equal(parse("00000000:0050"), "any 80 0A 4711");
  assert.equal(parse("00000000000000000000000000000000:0050"), "any 80 0A 4711");
  assert.equal(parse("0000000000000000FFFF0000020200C0:0050"), "192.0.2.2 80 0A 4711");
  assert.equal(parse("00000000000000000000000001000000:0050"), "other 80 0A 4711");
  assert.deepEqual(parseSockets(""), []);
});
