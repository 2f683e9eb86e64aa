import assert from "node:assert/strict";
import { test } from "node:test";
import { type Access, accessOf, authorize, isAllowed } from "./authorization.ts";
import { parseRoute } from "./routes.ts";
import { anonymous } from "./user.ts";

const known = { name: "somebody", groups: ["system:authenticated"] };
const asked: { method: string; path: string; isWatch?: boolean; want: Partial<Access> }[] = [
  { method: "GET", path: "/api/v1/pods", want: { verb: "list", group: "", resource: "pods", namespace: "", name: "" } },
  { method: "GET", path: "/api/v1/pods", isWatch: true, want: { verb: "watch" } },
  { method: "POST", path: "/api/v1/namespaces/n/pods", isWatch: true, want: { verb: "create" } },
  { method: "GET", path: "/api/v1/namespaces/n/pods/a", want: { verb: "get", namespace: "n", name: "a", subresource: "" } },
  { method: "PUT", path: "/api/v1/namespaces/n/pods/a/status", want: { verb: "update", subresource: "status" } },
  {
    method: "DELETE",
    path: "/apis/coordination.k8s.io/v1/namespaces/n/leases",
    want: { verb: "deletecollection", group: "coordination.k8s.io" },
  },
  { method: "GET", path: "/api/v1/namespaces/n/pods/a/exec", want: { verb: "get", subresource: "exec" } },
  { method: "POST", path: "/peapod.dev/v1/images/pull", want: { kind: "path", verb: "post", path: "/peapod.dev/v1/images/pull" } },
];
for (const { method, path, isWatch = false, want } of asked) {
  test(`accessOf() says what ${method} ${path}${isWatch ? " as a watch" : ""} wants`, () => {
    const access = accessOf(parseRoute(path), method, path, isWatch);
    assert.deepEqual({ ...access, ...want }, access);
    assert.deepEqual([isAllowed(known, access), isAllowed(anonymous, access)], [true, false]);
  });
}

test("authorize() lets a stranger hear how the engine is, and nothing else", () => {
  for (const path of ["/healthz", "/livez", "/readyz", "/readyz/store"]) authorize(anonymous, { kind: "path", verb: "get", path });
  for (const path of ["/", "/version", "/readyzx", "/api"])
    assert.throws(() => authorize(anonymous, { kind: "path", verb: "get", path }), { name: "StatusError", message: "Unauthorized" }, path);
});
