import assert from "node:assert/strict";
import { test } from "node:test";
import { countForwarded, parseTable, retargetScript, tableName } from "./ruleset.ts";

const listen = { host: "127.0.0.1", port: 6379 };

test("tableName() depends on the listener alone, whatever its name has in it", () => {
  assert.match(tableName('a "listener"; flush ruleset'), /^ambassador-[0-9a-f]{12}$/);
  assert.equal(tableName("one"), tableName("one"));
  assert.notEqual(tableName("one"), tableName("two"));
});

test("retargetScript() empties the chain where no endpoint is well, and else fills it with one rule", () => {
  const rules = { name: "db", listen, target: undefined, connections: 10, ownsRouting: false };
  assert.equal(retargetScript(rules), `flush chain ip ${tableName("db")} to_upstream\n`);
  assert.match(
    retargetScript({ ...rules, target: { host: "10.0.0.9", port: 6380 } }),
    /\nadd rule ip ambassador-\w+ to_upstream ip daddr 127\.0\.0\.1 tcp dport 6379 .*dnat to 10\.0\.0\.9:6380\n$/,
  );
});

test("parseTable() knows its own tables by their mark", () => {
  const counter = (name: string, bytes: number): object => ({ counter: { family: "ip", name, packets: 3, bytes } });
  const ours = parseTable(
    JSON.stringify({ nftables: [{ metainfo: {} }, { table: {} }, counter("peapod_ambassador", 0), counter("sent", 70)] }),
  );
  assert.equal(ours.isOurs, true);
  assert.equal(ours.counters.get("sent")?.bytes, 70);
  assert.equal(parseTable(JSON.stringify({ nftables: [{ table: {} }, counter("sent", 1)] })).isOurs, false);
});

test("countForwarded() counts what goes on elsewhere, and runs", () => {
  const line = (state: string, first: string, second: string): string =>
    `ipv4     2 tcp      6 431999 ${state} ${first} ${second} [ASSURED] mark=0 use=1`;
  const first = "src=127.0.0.1 dst=127.0.0.1 sport=41000 dport=6379";
  const elsewhere = "src=10.0.0.9 dst=10.0.0.1 sport=6379 dport=41000";
  const lines = [
    line("ESTABLISHED", first, elsewhere),
    line("TIME_WAIT", first, elsewhere),
    line("ESTABLISHED", first, "src=127.0.0.1 dst=127.0.0.1 sport=6379 dport=41000"), // served by the ambassador itself
    line("ESTABLISHED", first, "src=127.0.0.1 dst=127.0.0.1 sport=6380 dport=41000"),
    line("ESTABLISHED", first.replace("dport=6379", "dport=63790"), elsewhere),
    "ipv4     2 udp      17 20 src=127.0.0.1 dst=127.0.0.1 sport=1 dport=6379 src=10.0.0.9 dst=10.0.0.1 sport=6379 dport=1 mark=0 use=1",
    "",
  ];
  assert.equal(countForwarded(lines.join("\n"), listen), 2);
});
