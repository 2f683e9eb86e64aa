import assert from "node:assert/strict";
import { test } from "node:test";
import {
  configKey,
  ipAddress,
  labelName,
  labelValue,
  type NameRule,
  portName,
  portNumber,
  qualifiedName,
  subdomainName,
  variableName,
} from "./names.ts";

const cases: { rule: NameRule; name: string; good: string[]; bad: string[] }[] = [
  {
    rule: labelName,
    name: "labelName",
    good: ["a", "a-b", "0", "a".repeat(63)],
    bad: ["", "-a", "a-", "A", "a.b", "a_b", "a\n", "a".repeat(64)],
  },
  {
    rule: subdomainName,
    name: "subdomainName",
    good: ["a", "a.b-c.d", "a".repeat(253)],
    bad: ["", ".", "a..b", "a.", "A.b", "a".repeat(254)],
  },
  {
    rule: qualifiedName,
    name: "qualifiedName",
    good: ["a", "A_b.c-d", "example.com/Name"],
    bad: ["", "/a", "a/", "A/b", "a/b/c", "-a", "a".repeat(64)],
  },
  { rule: labelValue, name: "labelValue", good: ["", "a", "A_b.c-d"], bad: ["-a", "a b", "a/b", "a".repeat(64)] },
  { rule: configKey, name: "configKey", good: ["a", ".a", "A_b.c-d"], bad: ["", ".", "..", "..a", "a/b", "a".repeat(254)] },
  { rule: variableName, name: "variableName", good: ["A", "a b", "0", "my.var"], bad: ["", "A=B", "é", "a\n"] },
  { rule: portName, name: "portName", good: ["http", "p-1"], bad: ["", "1", "HTTP", "a--b", "-a", "a-", "a".repeat(16)] },
  {
    rule: ipAddress,
    name: "ipAddress",
    good: ["1.2.3.4", "::", "::1", "2001:db8::ffff", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4"],
    bad: ["", "1.2.3", "1.2.3.256", "01.2.3.4", ":", ":::", "1::2::3", "1:2:3:4:5:6:7:8:9", "::12345", "fe80::1%eth0"],
  },
];
for (const { rule, name, good, bad } of cases) {
  test(`${name}() takes good ones and says what is wrong with bad ones`, () => {
    for (const text of good) assert.deepEqual(rule(text), [], text);
    for (const text of bad) assert.notDeepEqual(rule(text), [], text);
  });
}

test("portNumber() knows the range", () => {
  assert.deepEqual([1, 65_535].flatMap(portNumber), []);
  assert.deepEqual(portNumber(65_536), ["must be between 1 and 65535, inclusive"]);
  assert.equal(portNumber(0).length, 1);
});

test("labelName() speaks as upstream does", () => {
  assert.deepEqual(labelName("A".repeat(64)), [
    "must be no more than 63 bytes",
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
  ]);
});
