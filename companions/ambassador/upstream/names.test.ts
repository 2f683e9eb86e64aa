import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import test from "node:test";
import { ManualClock } from "./manual-clock.fixture.ts";
import { createSystemResolve, ResolvedName } from "./names.ts";

test("createSystemResolve() asks the system, /etc/hosts too", async () => {
  const addresses = await createSystemResolve()("localhost");
  assert.ok(addresses.includes("127.0.0.1") || addresses.includes("::1"));
});

test("createSystemResolve() keeps no more threads busy than it may, and serves all in turn", async () => {
  const asked: string[] = [];
  const pending = new Map<string, PromiseWithResolvers<string[]>>();
  const lookup = (host: string): Promise<string[]> => {
    asked.push(host);
    const answer = Promise.withResolvers<string[]>();
    pending.set(host, answer);
    return answer.promise;
  };
  const resolve = createSystemResolve({ atOnce: 2, lookup });
  const results = ["a", "b", "c", "d"].map(async (host) => await resolve(host).catch(String));
  await turn();
  assert.deepEqual(asked, ["a", "b"]);
  pending.get("b")?.reject(new Error("no such name"));
  await turn();
  assert.deepEqual(asked, ["a", "b", "c"]);
  for (const host of ["a", "c"]) pending.get(host)?.resolve([host]);
  await turn();
  pending.get("d")?.resolve(["d"]);
  assert.deepEqual(await Promise.all(results), [["a"], "Error: no such name", ["c"], ["d"]]);
  void resolve("e");
  assert.equal(asked.at(-1), "e", "all places are free again");
});

function nameTest(): { clock: ManualClock; name: ResolvedName; answers: (string[] | Error)[]; heard: unknown[]; asked: () => number } {
  const clock = new ManualClock();
  const answers: (string[] | Error)[] = [];
  const heard: unknown[] = [];
  let asked = 0;
  const resolve = (): Promise<string[]> => {
    asked += 1;
    const answer = answers.shift() ?? [];
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  };
  const name = new ResolvedName("db.test", {
    resolve,
    clock,
    onAddresses: (addresses) => heard.push(addresses),
    onFailure: ({ message }) => heard.push(message),
  });
  return { clock, name, answers, heard, asked: () => asked };
}

test("ResolvedName looks up once for all who ask at the same time, and not again at once when it failed", async () => {
  const { clock, name, answers, heard, asked } = nameTest();
  answers.push(new Error("no server"), ["10.0.0.1", "10.0.0.1", "10.0.0.2"]);
  await Promise.all([name.look(), name.lookUnlessRecent(), name.look()]);
  await name.lookUnlessRecent();
  assert.equal(asked(), 1);
  assert.equal(name.failure?.message, "no server");
  await clock.advance(500);
  await name.lookUnlessRecent();
  assert.equal(name.failure, undefined);
  assert.deepEqual(heard, ["no server", ["10.0.0.1", "10.0.0.2"]]);
});

test("ResolvedName takes an empty answer for a failure", async () => {
  const { name, heard } = nameTest();
  await name.look();
  assert.deepEqual(heard, ["the name has no address"]);
});

test("ResolvedName looks up at its interval until it is aborted", async () => {
  const { clock, name, answers, asked } = nameTest();
  answers.push(["10.0.0.1"]); // and fails from then on
  const stop = new AbortController();
  const refreshing = name.refresh(1_000, () => 0.5, stop.signal);
  await clock.advance(3_500);
  assert.equal(asked(), 4);
  stop.abort();
  await refreshing;
  assert.equal(clock.sleeping, 0);
});

test("ResolvedName looks up sooner until it is resolved for the first time, and says why it is not", async () => {
  const { clock, name, answers, asked } = nameTest();
  answers.push(...Array<Error>(6).fill(new Error("no server")), ["10.0.0.1"]);
  assert.equal(name.problem, "name is being looked up");
  const stop = new AbortController();
  const refreshing = name.refresh(60_000, () => 0.5, stop.signal);
  const askedAt: number[] = [];
  for (let seconds = 0; seconds <= 20; seconds += 0.5) {
    await clock.advance(seconds === 0 ? 0 : 500);
    if (asked() > askedAt.length) askedAt.push(seconds);
    if (seconds === 0) assert.equal(name.problem, "name cannot be resolved (no server)");
  }
  assert.deepEqual(askedAt, [0, 0.5, 1.5, 3.5, 7.5, 12.5, 17.5]);
  assert.equal(name.problem, undefined);
  await clock.advance(57_400); // its interval, less what has gone of it
  assert.equal(asked(), 7);
  await clock.advance(100);
  assert.equal(asked(), 8);
  assert.equal(name.problem, undefined, "the last good address stays");
  stop.abort();
  await refreshing;
  assert.equal(clock.sleeping, 0);
});
