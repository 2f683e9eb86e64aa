import assert from "node:assert/strict";
import { test } from "node:test";
import { resources } from "../kinds/resources.ts";
import { type FieldSchema, fieldSchema, resolveSchema, typeNameOfKind, typeNames, typeSchema } from "./schema.ts";

const scalars = ["string", "numeric", "boolean", "untyped"];
const formats = ["int32", "int64", "double", "byte", "date-time", "date-time-micro", "quantity", "int-or-string", "object"];

test("typeSchema() knows only fields whose form the rest of the code understands", () => {
  for (const name of typeNames().filter((each) => !each.startsWith("__"))) {
    const type = typeSchema(name);
    const members: [string, FieldSchema][] = type?.fields === undefined ? [["", type ?? {}]] : Object.entries(type.fields);
    for (const [field, schema] of members) assertForm(schema, `${name}.${field}`);
  }
});

function assertForm(schema: FieldSchema, where: string): void {
  const { scalar, format, ref, list, map } = schema;
  const free = ["UserInfo.extra{}", "SubjectAccessReviewSpec.extra{}", "TableRow.cells[]"]; // any JSON, which the table writes as nothing
  if (!free.some((end) => where.endsWith(end)))
    assert.ok(
      [scalar ?? format, ref, list, map].some((form) => form !== undefined),
      `${where} has no form`,
    );
  assert.ok(scalar === undefined || scalars.includes(scalar), `${where}: scalar ${scalar}`);
  assert.ok(format === undefined || formats.includes(format), `${where}: format ${format}`);
  assert.ok(ref === undefined || typeSchema(ref) !== undefined, `${where}: no type ${ref}`);
  if (list !== undefined) assertForm(list, `${where}[]`);
  if (map !== undefined) assertForm(map, `${where}{}`);
}

test("typeNameOfKind() finds the type of every served kind", () => {
  for (const { group, version, kind, typeName } of resources)
    assert.equal(typeNameOfKind(group === "" ? version : `${group}/${version}`, kind), typeName);
  assert.equal(typeNameOfKind("v1", "Nothing"), undefined);
});

test("fieldSchema() gives merge keys and strategies, and no property of Object's", () => {
  const volumes = fieldSchema("io.k8s.api.core.v1.PodSpec", "volumes");
  assert.deepEqual(
    [volumes?.patchMergeKey, volumes?.patchStrategy, volumes?.listType, volumes?.listMapKeys],
    ["name", "merge,retainKeys", "map", ["name"]],
  );
  assert.equal(fieldSchema("io.k8s.api.core.v1.PodSpec", "constructor"), undefined);
  assert.equal(typeSchema("constructor"), undefined);
});

test("resolveSchema() sees through the names of scalars", () => {
  assert.equal(resolveSchema({ ref: "io.k8s.apimachinery.pkg.api.resource.Quantity" }).format, "quantity");
  assert.equal(resolveSchema({ ref: "io.k8s.api.core.v1.Pod" }).ref, "io.k8s.api.core.v1.Pod");
});
