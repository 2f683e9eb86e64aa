import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { makeTar, rawTar } from "../layout.fixture.ts";
import { readTar } from "./tar-entries.ts";
import { TarError } from "./tar-error.ts";

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** What an archive has: kind, name, target and content of each entry. */
async function listOf(bytes: Buffer, pieces = bytes.length): Promise<string[]> {
  const found: string[] = [];
  await readTar(inPieces(bytes, Math.max(1, pieces)), {
    begin: ({ kind, path, target, sizeBytes }) => {
      if (sizeBytes > 1_000_000) return undefined;
      const content = Buffer.alloc(sizeBytes, ".");
      return {
        write: (chunk, position) => content.set(chunk, position),
        end: () => found.push([kind, path, target, content.toString("latin1")].join(" ")),
      };
    },
  });
  return found;
}

/** A record of an extended header, with its length before it. */
function record(key: string, value: string): string {
  const body = ` ${key}=${value}\n`;
  const length = [1, 2, 3, 4].map((digits) => body.length + digits).find((sum, index) => String(sum).length === index + 1);
  return `${length}${body}`;
}

const pax = (...records: string[]) => ({ name: "PaxHeaders/x", type: "x", content: Buffer.from(records.join(""), "latin1") });
const long = `${"n\xe9".repeat(60)}/${"m".repeat(60)}`;
const map = Buffer.concat([Buffer.from("2\n1\n3\n6\n1\n"), Buffer.alloc(502), Buffer.from("abcd")]);

const cases: { does: string; archive: Buffer; has: string[] }[] = [
  {
    does: "files, folders and links",
    archive: rawTar([
      { name: "a/", type: "5" },
      { name: "a/b", content: Buffer.from("x") },
      { name: "l", type: "2", linkName: "a" },
    ]),
    has: ["directory a/  ", "file a/b  x", "symlink l a "],
  },
  {
    does: "GNU's long names and targets",
    archive: rawTar([
      { name: "x", type: "L", content: Buffer.from(`${long}\0`, "latin1") },
      { name: "x", type: "K", content: Buffer.from(long, "latin1") },
      { name: "short", type: "2" },
    ]),
    has: [`symlink ${long} ${long} `],
  },
  {
    does: "PAX names, targets and sizes as bytes",
    archive: rawTar([
      pax(record("path", "p\xff"), record("linkpath", long), record("size", "1")),
      { name: "short", type: "0", sizeBytes: 0, content: Buffer.from("y") },
    ]),
    has: [`file p\xff ${long} y`],
  },
  {
    does: "nothing of what a global header says",
    archive: rawTar([{ ...pax(record("path", "all")), type: "g" }, { name: "one" }]),
    has: ["file one  "],
  },
  { does: "a folder by the oldest way", archive: rawTar([{ name: "old/", type: "\0" }]), has: ["directory old/  "] },
  {
    does: "no content of links, whatever size they have",
    archive: rawTar([{ name: "h", type: "1", linkName: "t", sizeBytes: 5 }, { name: "f" }]),
    has: ["hard-link h t ", "file f  "],
  },
  {
    does: "sparse files by PAX records, the map before the data",
    archive: rawTar([
      pax(
        record("GNU.sparse.major", "1"),
        record("GNU.sparse.minor", "0"),
        record("GNU.sparse.name", "sp"),
        record("GNU.sparse.realsize", "8"),
      ),
      { name: "GNUSparseFile.0/sp", content: map },
    ]),
    has: ["file sp  .abc..d."],
  },
  {
    does: "sparse files by PAX records, the map among them",
    archive: rawTar([
      pax(record("GNU.sparse.map", "1,3,6,1"), record("GNU.sparse.name", "sp"), record("GNU.sparse.size", "8")),
      { name: "x", content: Buffer.from("abcd") },
    ]),
    has: ["file sp  .abc..d."],
  },
  {
    does: "sparse files by PAX records, one for each number",
    archive: rawTar([
      pax(
        record("GNU.sparse.size", "8"),
        ...["offset", "1", "numbytes", "3", "offset", "6", "numbytes", "1"].flatMap((word, index, all) =>
          index % 2 === 0 ? [record(`GNU.sparse.${word}`, all[index + 1] ?? "")] : [],
        ),
      ),
      { name: "sp", content: Buffer.from("abcd") },
    ]),
    has: ["file sp  .abc..d."],
  },
];
for (const { does, archive, has } of cases) {
  test(`readTar() takes ${does}, and finds where it is cut off`, async () => {
    assert.deepEqual(await listOf(archive), has);
    for (const pieces of [1, 7, 512, 513]) assert.deepEqual(await listOf(archive, pieces), has);
    for (let end = 0; end < archive.length; end += 1) {
      const cut = listOf(archive.subarray(0, end));
      if (end % 512 === 0) await cut.catch((error: unknown) => assert.ok(error instanceof TarError)); // it may end between two entries
      else await assert.rejects(cut, (error) => error instanceof TarError && error.message === "The archive is cut off");
    }
  });
}

const wrong: { does: string; archive: Buffer; says: RegExp }[] = [
  { does: "a checksum that is wrong", archive: Buffer.concat([Buffer.from("x"), rawTar([{ name: "a" }]).subarray(1)]), says: /checksum/ },
  { does: "a kind that nobody knows", archive: rawTar([{ name: "v", type: "V" }]), says: /kind that is not supported \("V"\)/ },
  { does: "a name with a zero byte", archive: rawTar([pax(record("path", "a\0b")), { name: "x" }]), says: /zero byte/ },
  {
    does: "a name that no path can have",
    archive: rawTar([pax(record("path", "a".repeat(4096))), { name: "x" }]),
    says: /more than 4095 bytes/,
  },
  {
    does: "an extended header that is none",
    archive: rawTar([{ name: "x", type: "x", content: Buffer.from("99 a=b\n") }]),
    says: /malformed/,
  },
  {
    does: "sparse parts that overlap",
    archive: rawTar([
      pax(record("GNU.sparse.map", "0,3,2,1"), record("GNU.sparse.size", "8")),
      { name: "x", content: Buffer.from("abcd") },
    ]),
    says: /parts cannot be/,
  },
  {
    does: "sparse parts beyond the file",
    archive: rawTar([pax(record("GNU.sparse.map", "6,4"), record("GNU.sparse.size", "8")), { name: "x", content: Buffer.from("abcd") }]),
    says: /parts cannot be/,
  },
  {
    does: "sparse parts that are not there",
    archive: rawTar([pax(record("GNU.sparse.map", "0,3"), record("GNU.sparse.size", "8")), { name: "x", content: Buffer.from("abcd") }]),
    says: /not what is stored/,
  },
  {
    does: "a sparse map of very many parts",
    archive: rawTar([
      pax(record("GNU.sparse.major", "1"), record("GNU.sparse.realsize", "8")),
      { name: "x", content: Buffer.concat([Buffer.from("9999999\n"), Buffer.alloc(504)]) },
    ]),
    says: /more than 1000000 parts/,
  },
  {
    does: "a sparse map without an end",
    archive: rawTar([
      pax(record("GNU.sparse.major", "1"), record("GNU.sparse.realsize", "8")),
      { name: "x", content: Buffer.alloc(2048, "1") },
    ]),
    says: /without a map/,
  },
];
for (const { does, archive, says } of wrong) {
  test(`readTar() refuses ${does}`, async () => {
    await assert.rejects(listOf(archive), (error) => error instanceof TarError && says.test(error.message));
  });
}

test("readTar() reads on after the end, and takes nothing from there", async () => {
  const archive = Buffer.concat([rawTar([{ name: "a" }]), await makeTar([]), rawTar([{ name: "never" }])]);
  let seen = 0;
  const source = async function* (): AsyncGenerator<Buffer> {
    for await (const piece of inPieces(archive, 100)) {
      seen += piece.length;
      yield piece;
    }
  };
  const found: string[] = [];
  await readTar(source(), { begin: ({ path }) => void found.push(path) });
  assert.deepEqual([found, seen], [["a"], archive.length]);
});

test("readTar() throws nothing but TarErrors, whatever it gets", async () => {
  const good = rawTar([
    pax(record("GNU.sparse.map", "1,3,6,1"), record("GNU.sparse.size", "8")),
    { name: "x", content: Buffer.from("abcd") },
  ]);
  const changes = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(changes, async (changed) => {
      const archive = Buffer.from(good);
      for (const [at, byte] of changed) archive[at] = byte;
      for (const at of [0, 1024]) {
        archive.fill(" ", at + 148, at + 156); // else the checksum catches all
        const sum = archive.subarray(at, at + 512).reduce((total, byte) => total + byte, 0);
        archive.write(`${sum.toString(8).padStart(6, "0")}\0 `, at + 148, "latin1");
      }
      await listOf(archive).catch((error: unknown) => assert.ok(error instanceof TarError, String(error)));
    }),
  );
});
