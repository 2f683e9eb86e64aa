import { configSchema } from "./config-schema.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "../../frame/config/parse-config.ts";

const text = (endpoint: string): string => `listeners:
  - protocol: tcp
    listen: 127.0.0.1:1
    upstream:
      endpoints: ["${endpoint}"]
`;
const endpointOf = (endpoint: string, variables: Record<string, string>): unknown =>
  parseConfig(configSchema, text(endpoint), "f.yaml", variables).listeners[0]?.upstream.endpoints[0];

test("parseConfig() puts variables of the environment in", () => {
  const variables = { NODE_NAME: "10.1.2.3", PORT: "9", "a.b-c": "x" };
  assert.deepEqual(endpointOf("$(NODE_NAME):$(PORT)", variables), { kind: "tcp", host: "10.1.2.3", port: 9 });
  assert.deepEqual(endpointOf("unix:/$(a.b-c)", variables), { kind: "unix", path: "/x" });
  assert.deepEqual(endpointOf("unix:/$$(NODE_NAME)/$NODE_NAME/$()", variables), { kind: "unix", path: "/$(NODE_NAME)/$NODE_NAME/$()" });
});

test("parseConfig() names a variable that there is not, and does not look into those that there are", () => {
  assert.throws(() => endpointOf("$(NODE_NAME):5432", {}), {
    message: "f.yaml:5: listeners[0].upstream.endpoints[0]: there is no environment variable NODE_NAME",
  });
  assert.deepEqual(endpointOf("unix:/$(ONE)", { ONE: "$(TWO)", TWO: "2" }), { kind: "unix", path: "/$(TWO)" });
});
