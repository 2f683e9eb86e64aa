import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import { foreignFirewalls } from "./foreign-firewalls.ts";
import { leaveForOwnMachine, port, setBridgeNetfilter, sh, World } from "./test-world.fixture.ts";

const { signal } = new AbortController();

leaveForOwnMachine();

for (const program of ["iptables-nft", "iptables-legacy"]) {
  test(`attach() passes Docker's firewall by the chain it leaves to others, also when Docker comes back: ${program}`, async () => {
    await using world = new World();
    setBridgeNetfilter(true); // Docker loads it, so even pod-to-pod packets meet its FORWARD chain
    const rules = ["-N DOCKER-USER", "-A DOCKER-USER -j RETURN", "-P FORWARD DROP", "-A FORWARD -j DOCKER-USER"];
    const docker = (lines: readonly string[]): void => void sh(lines.map((line) => `${program} ${line}`).join(";"));
    docker(rules);
    try {
      const { network, scope } = await world.open("aaaa000c", { tendEveryMs: 50 });
      const outside = await world.outside();
      await outside.serve("TCP", "0.0.0.0", 80, "outside");
      const [a, b] = await Promise.all([world.pod(network, "pod-a", [port(8080, 80)]), world.pod(network, "pod-b")]);
      await a.serve("TCP", "0.0.0.0", 80, "a");
      const everything = async (): Promise<boolean> => {
        assert.equal(await a.ask("TCP", "198.51.100.2", 80), "outside 198.51.100.1");
        assert.equal(await b.ask("TCP", a.ip, 80), `a ${b.ip}`);
        assert.equal(await outside.ask("TCP", "198.51.100.1", 8080), "a 198.51.100.2");
        return true;
      };
      await everything();
      assert.deepEqual(await foreignFirewalls("pp-aaaa000c"), []);
      docker(["-F FORWARD", "-F DOCKER-USER", "-X DOCKER-USER"]);
      docker(rules);
      await eventually(everything, { withinMs: 5_000 });
      sh(`nft delete table ip peapod-aaaa000c`); // as systemctl restart nftables does
      await eventually(everything, { withinMs: 5_000 });
      await Promise.all([network.detach("pod-a", signal), network.detach("pod-b", signal)]);
      await scope[Symbol.asyncDispose]();
      assert.equal(sh(`${program} -S DOCKER-USER`), "-N DOCKER-USER\n-A DOCKER-USER -j RETURN\n");
    } finally {
      docker(["-P FORWARD ACCEPT", "-F FORWARD", "-F DOCKER-USER", "-X DOCKER-USER"]);
    }
  });
}

test("foreignFirewalls() names what drops the pods' packets, with what to run", async () => {
  await using world = new World();
  await world.open("aaaa000d");
  assert.deepEqual(await foreignFirewalls("pp-aaaa000d"), []);
  sh("iptables-nft -P FORWARD DROP");
  const [found, ...more] = await foreignFirewalls("pp-aaaa000d");
  assert.deepEqual(more, []);
  assert.match(found?.finding ?? "", /FORWARD.* drops forwarded packets by policy/);
  const outside = await world.outside();
  const { network } = await world.open("aaaa000d");
  await outside.serve("TCP", "0.0.0.0", 80, "outside");
  const a = await world.pod(network, "pod-a");
  assert.equal(await a.ask("TCP", "198.51.100.2", 80), "TIMEOUT");
  sh(found?.advice ?? "");
  assert.equal(await a.ask("TCP", "198.51.100.2", 80), "outside 198.51.100.1");
});
