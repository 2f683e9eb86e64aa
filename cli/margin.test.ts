import assert from "node:assert/strict";
import { test } from "node:test";
import { Margin } from "./margin.ts";
import { formatAge, formatBytes, formatTable } from "./table.ts";

const format = (margin: Margin, name: string, line: string): string => margin.format(name, Buffer.from(line)).toString();
const plain = (_colour: string, text: string): string => text;

test("Margin.format() makes all names as wide as the widest", () => {
  const margin = new Margin(["web", "sidecar"], plain);
  assert.equal(format(margin, "web", "GET /\r\n") + format(margin, "sidecar", ""), "web     | GET /\nsidecar | \n");
});

test("Margin.format() gives each name its colour, and takes back what a line leaves switched on", () => {
  const margin = new Margin(["a", "b"], (colour, text) => `<${colour}>${text}</>`);
  assert.equal(format(margin, "a", "x"), "<cyan>a |</> x\n");
  assert.equal(format(margin, "b", "\u001b[31mred"), "<yellow>b |</> \u001b[31mred\u001b[0m\n");
  assert.equal(format(margin, "new", "x"), "<green>new |</> x\n");
});

test("formatTable() aligns columns", () => {
  assert.equal(
    formatTable(
      ["NAME", "AGE"],
      [
        ["a", "5s"],
        ["longer", "2d"],
      ],
    ),
    "NAME     AGE\na        5s\nlonger   2d\n",
  );
});

test("formatAge() writes ages as kubectl does", () => {
  const seconds = [0, 119, 120, 303, 600, 7200, 11_000, 30_000, 172_800, 700_000];
  assert.deepEqual(
    seconds.map((value) => formatAge(value * 1000)),
    ["0s", "119s", "2m", "5m3s", "10m", "120m", "3h3m", "8h", "2d", "8d"],
  );
});

test("formatBytes() writes sizes for people", () => {
  assert.deepEqual([0, 999, 1000, 13_830_342, 340_000_000, 2e9].map(formatBytes), ["0B", "999B", "1.0kB", "13.8MB", "340MB", "2.0GB"]);
});
