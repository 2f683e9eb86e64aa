import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeCommand } from "./resp.ts";
import { makeTaps } from "./rewrite.ts";

const auth = ["app", "s3cret"] as const;
const login = [encodeCommand("AUTH", ...auth), encodeCommand("SELECT", "3")];
const marker = "5EC0FFEE5EC0FFEE5EC0FFEE5EC0FFEE";
const ours = encodeCommand("AUTH", ...auth).toString();
const afterReset = [encodeCommand("HELLO", "2", marker), ...login].map(String).join("");

const cases: { does: string; given: string; want: string }[] = [
  { does: "replaces AUTH with a password", given: command("AUTH", "wrong"), want: ours },
  { does: "replaces AUTH with a user and a password", given: command("auth", "me", "wrong"), want: ours },
  { does: "replaces an inline AUTH", given: "  Auth wrong\r\n", want: ours },
  { does: "replaces a quoted inline AUTH", given: "\"\\x41UTH\" 'wr on g'\n", want: ours },
  { does: "leaves AUTH of a wrong form to the server", given: command("AUTH"), want: command("AUTH") },
  { does: "takes AUTH out of HELLO", given: command("HELLO", "3", "AUTH", "u", "p"), want: command("HELLO", "3") },
  {
    does: "keeps HELLO's other options",
    given: command("hello", "3", "setname", "AUTH", "auth", "u", "p", "SETNAME", "x"),
    want: command("HELLO", "3", "setname", "AUTH", "SETNAME", "x"),
  },
  { does: "leaves HELLO without AUTH", given: command("hello", "3"), want: command("hello", "3") },
  { does: "leaves HELLO of a wrong form", given: command("HELLO", "3", "AUTH", "u"), want: command("HELLO", "3", "AUTH", "u") },
  { does: "takes AUTH out of an inline HELLO", given: "HELLO 3 AUTH u p\r\n", want: command("HELLO", "3") },
  { does: "logs in after RESET", given: command("reset"), want: command("RESET") + afterReset },
  { does: "logs in after an inline RESET", given: "RESET\r\n", want: command("RESET") + afterReset },
  {
    does: "looks at names alone",
    given: command("SET", "AUTH", "x") + command("ECHO", "*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n"),
    want: command("SET", "AUTH", "x") + command("ECHO", "*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n"),
  },
  { does: "knows empty commands", given: `*0\r\n*-1\r\n\r\n${command("AUTH", "x")}`, want: `*0\r\n*-1\r\n\r\n${ours}` },
  {
    does: "passes what is not Redis' from there on",
    given: `*1\r\n+PING\r\n${command("AUTH", "x")}`,
    want: `*1\r\n+PING\r\n${command("AUTH", "x")}`,
  },
  {
    does: "passes a length that cannot be",
    given: `*99999999999999999\r\n${command("AUTH", "x")}`,
    want: `*99999999999999999\r\n${command("AUTH", "x")}`,
  },
  {
    does: "passes an AUTH of more than 16 KiB",
    given: command("AUTH", "x".repeat(20_000)) + command("AUTH", "x"),
    want: command("AUTH", "x".repeat(20_000)) + ours,
  },
  {
    does: "passes an inline line of more than 16 KiB",
    given: `HSET ${"x".repeat(20_000)}\r\n${command("AUTH", "x")}`,
    want: `HSET ${"x".repeat(20_000)}\r\n${ours}`,
  },
];

for (const { does, given, want } of cases) {
  test(`makeTaps() ${does}, cut at any byte`, () => {
    const input = Buffer.from(given, "latin1");
    for (let cut = 0; cut <= input.length; cut += input.length > 5_000 ? 997 : 1) {
      assert.equal(sentFor([input.subarray(0, cut), input.subarray(cut)]), want);
    }
    if (input.length < 5_000) assert.equal(sentFor([...input].map((byte) => Buffer.of(byte))), want);
  });
}

test("makeTaps() gives the same buffer where nothing is changed", () => {
  const { fromClient, fromUpstream } = taps();
  const piece = Buffer.from(command("SET", "key", "value").repeat(20) + command("SET", "key", "v".repeat(100)).slice(0, -50));
  assert.equal(fromClient(piece), piece);
  assert.equal(fromUpstream(piece), piece);
});

test("makeTaps() steps over a value of 512 MB without keeping it", () => {
  const { fromClient } = taps();
  fromClient(Buffer.from("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n"));
  const piece = Buffer.alloc(1_048_576, "*2\r\n$4\r\nAUTH\r\n");
  for (let at = 0; at < 512; at++) assert.equal(fromClient(piece), piece);
  assert.equal(String(fromClient(Buffer.from(`\r\n${command("AUTH", "x")}`))), `\r\n${ours}`);
});

test("makeTaps() sends what an obvious rewriting gives, for any commands cut anywhere", () => {
  const word = fc.oneof(
    fc.constantFrom("AUTH", "auth", "HELLO", "RESET", "SETNAME", "3", "SET", "PING", "LPUSH", ""),
    fc.string({ maxLength: 40 }),
  );
  const commands = fc.array(fc.array(word, { minLength: 1, maxLength: 6 }), { maxLength: 12 });
  fc.assert(
    fc.property(commands, fc.array(fc.nat(40), { maxLength: 60 }), (given, sizes) => {
      const input = Buffer.from(given.map((args) => command(...args)).join(""));
      assert.equal(sentFor(cut(input, sizes), "utf8"), given.map(rewritten).join(""));
    }),
    { numRuns: 300 },
  );
});

test("makeTaps() neither throws nor keeps much of bytes that mean nothing", () => {
  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.stringMatching(/^[*$\r\n0-9AUTHELORSauth"' \\x-]{0,200}$/).map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(fc.array(noise, { maxLength: 10 }), (pieces) => {
      const { fromClient, fromUpstream } = taps();
      for (const piece of pieces) {
        fromClient(Buffer.from(piece));
        fromUpstream(Buffer.from(piece));
      }
    }),
    { numRuns: 300 },
  );
});

const pauses: { does: string; given: string; want: boolean }[] = [
  { does: "has a pause before anything", given: "", want: true },
  { does: "has a pause after a command", given: command("SET", "MULTI", "EXEC"), want: true },
  { does: "has none within a command", given: command("SET", "k", "v").slice(0, -1), want: false },
  { does: "has none within an inline command", given: "SET k", want: false },
  { does: "has none after MULTI", given: command("multi") + command("GET", "k"), want: false },
  { does: "has none after an inline MULTI", given: "  Multi\r\nGET k\r\n", want: false },
  { does: "has one after EXEC", given: command("MULTI") + command("exec"), want: true },
  { does: "has one after an inline EXEC", given: "MULTI\r\nexec\r\n", want: true },
  { does: "has one after DISCARD", given: command("MULTI") + command("Discard"), want: true },
  { does: "has one after RESET", given: command("WATCH", "k") + command("MULTI") + command("RESET"), want: true },
  { does: "has none after WATCH", given: command("WATCH", "k") + command("GET", "k"), want: false },
  { does: "has none after WATCH and an EXEC that is an error", given: command("WATCH", "k") + command("EXEC"), want: false },
  { does: "has one after WATCH and UNWATCH", given: command("WATCH", "k") + command("unwatch"), want: true },
  { does: "has one after WATCH, MULTI and EXEC", given: command("WATCH", "k") + command("MULTI") + command("EXEC"), want: true },
  { does: "has none after an UNWATCH that is queued", given: command("MULTI") + command("UNWATCH"), want: false },
];

for (const { does, given, want } of pauses) {
  test(`makeTaps() ${does}, cut at any byte`, () => {
    const input = Buffer.from(given);
    for (let cut = 0; cut <= input.length; cut++) {
      const { fromClient, isPause } = taps();
      for (const piece of [input.subarray(0, cut), input.subarray(cut)]) fromClient(piece);
      assert.equal(isPause(), want);
    }
  });
}

const complaint = `-ERR Syntax error in HELLO option '${marker}'\r\n`;

test("makeTaps() takes the answers of a login after RESET out of the replies, cut at any byte", () => {
  const before = "$22\r\n+RESET\r\n-ERR\r\n-\r\n-x\r\n\r\n-ERR no such thing\r\n-";
  const input = Buffer.from(`${before}\r\n+RESET\r\n${complaint}+OK\r\n+OK\r\n+PONG\r\n-ERR after\r\n`);
  const want = `${before}\r\n+RESET\r\n+PONG\r\n-ERR after\r\n`;
  for (let at = 0; at <= input.length; at++) assert.equal(shownFor([input.subarray(0, at), input.subarray(at)], 1), want);
  assert.equal(
    shownFor(
      [...input].map((byte) => Buffer.of(byte)),
      1,
    ),
    want,
  );
});

test("makeTaps() takes out the answers of two RESETs that come together, and passes the same buffer afterwards", () => {
  const { fromClient, fromUpstream } = taps();
  fromClient(Buffer.from(command("RESET") + command("RESET")));
  const one = `+RESET\r\n${complaint}+OK\r\n+OK\r\n`;
  assert.equal(String(fromUpstream(Buffer.from(`${one}${one}:1\r\n`))), "+RESET\r\n+RESET\r\n:1\r\n");
  const piece = Buffer.from(`:2\r\n${complaint}`);
  assert.equal(fromUpstream(piece), piece);
});

test("makeTaps() says so when the login after RESET is refused, or has no end", () => {
  const endless = `${complaint.trimEnd()}${"x".repeat(2_000)}`;
  for (const answer of [`${complaint}-WRONGPASS invalid\r\n`, `${complaint}+${"O".repeat(2_000)}`, endless]) {
    let refusals = 0;
    const { fromClient, fromUpstream } = taps(() => refusals++);
    fromClient(Buffer.from(command("RESET")));
    fromUpstream(Buffer.from(`+RESET\r\n${answer}`));
    assert.equal(refusals, 1);
  }
});

function taps(onRefused = (): unknown => assert.fail("refused")): ReturnType<typeof makeTaps> {
  return makeTaps({ auth: () => auth, login: () => login, onRefused, newMarker: () => marker });
}

function sentFor(pieces: readonly Buffer[], encoding: BufferEncoding = "latin1"): string {
  const { fromClient } = taps();
  return Buffer.concat(pieces.map((piece) => Buffer.from(fromClient(Buffer.from(piece))))).toString(encoding);
}

function shownFor(pieces: readonly Buffer[], resets: number): string {
  const { fromClient, fromUpstream } = taps();
  fromClient(Buffer.from(command("RESET").repeat(resets)));
  return Buffer.concat(pieces.map((piece) => Buffer.from(fromUpstream(Buffer.from(piece))))).toString("latin1");
}

function cut(input: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const size of sizes) pieces.push(input.subarray(at, (at += size)));
  return [...pieces, input.subarray(at)];
}

function command(...args: readonly string[]): string {
  return `*${args.length}\r\n${args.map((arg) => `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`).join("")}`;
}

/** Slow and plain: what is to become of one whole command. */
function rewritten(args: readonly string[]): string {
  const [name = "", ...rest] = args;
  const upper = name.toUpperCase();
  if (upper === "AUTH" && (rest.length === 1 || rest.length === 2)) return ours;
  if (upper === "RESET" && rest.length === 0) return command("RESET") + afterReset;
  if (upper !== "HELLO") return command(...args);
  const kept = rest.slice(0, 1);
  for (let options = rest.slice(1); options.length > 0;) {
    const option = options[0]?.toUpperCase();
    const takes = option === "AUTH" && options.length >= 3 ? 3 : option === "SETNAME" && options.length >= 2 ? 2 : 1;
    if (takes !== 3) kept.push(...options.slice(0, takes));
    options = options.slice(takes);
  }
  return kept.length === rest.length ? command(...args) : command("HELLO", ...kept);
}
