import assert from "node:assert/strict";
import { test } from "node:test";
import { pods } from "@peapod/api";
import { connectHttp } from "@peapod/client";
import { minimalPod } from "../verbs/api-ground.fixture.ts";
import { ask, type Asked } from "../http/asking.fixture.ts";
import { serving } from "../http/serving.fixture.ts";

const PATH = "/api/v1/namespaces/default/pods";
const LARGEST = "9223372036854775807";
const ODD = "9007199254740993";

function manifest(grace: string): string {
  const pod = minimalPod("a", { nodeName: "n", terminationGracePeriodSeconds: 0 });
  return JSON.stringify(pod).replace('"terminationGracePeriodSeconds":0', `"terminationGracePeriodSeconds":${grace}`);
}

test("an int64 comes back as it was through every verb, to its last digit", async () => {
  await using served = await serving();
  const grace = async (path: string, asked: Asked = {}): Promise<string> =>
    /"terminationGracePeriodSeconds":(-?\d+)/.exec((await ask(served, path, asked)).body)?.[1] ?? "";
  const post = (body: string): Asked => ({ method: "POST", headers: { "Content-Type": "application/json" }, body });
  const patch = (type: string, body: string): Asked => ({ method: "PATCH", headers: { "Content-Type": `application/${type}` }, body });

  const refused = await ask(served, PATH, post(manifest("9223372036854775808")));
  assert.deepEqual([refused.code, /wants a whole number \(int64\), found the number 9223372036854775808/.test(refused.body)], [400, true]);
  assert.equal(await grace(PATH, post(manifest(LARGEST))), LARGEST);
  assert.equal(await grace(`${PATH}/a`), LARGEST);
  assert.equal(await grace(PATH), LARGEST);
  assert.equal(await grace(`${PATH}?watch=1&timeoutSeconds=1`), LARGEST);

  for (const type of ["merge-patch+json", "strategic-merge-patch+json"])
    assert.equal(await grace(`${PATH}/a`, patch(type, `{"metadata":{"labels":{"by":"${type.slice(0, 5)}"}}}`)), LARGEST);
  assert.equal(await grace(`${PATH}/a`, patch("json-patch+json", '[{"op":"add","path":"/metadata/labels/c","value":"d"}]')), LARGEST);
  const other = await ask(served, `${PATH}/a`, patch("merge-patch+json", '{"spec":{"terminationGracePeriodSeconds":9223372036854775806}}'));
  assert.deepEqual(
    [other.code, /- spec.terminationGracePeriodSeconds: 9223372036854775807\\n\+ .*: 9223372036854775806/.test(other.body)],
    [422, true],
  );

  using client = await connectHttp({ kubeconfig: served.kubeconfig });
  const { signal } = new AbortController();
  const read = await client.get(pods, { namespace: "default", name: "a" }, signal);
  const written = await client.update(pods, { ...read, metadata: { ...read.metadata, labels: {} } }, {}, signal);
  assert.match(JSON.stringify(written), new RegExp(`"terminationGracePeriodSeconds":${LARGEST}`));

  const deletion = (await ask(served, `${PATH}/a?gracePeriodSeconds=${ODD}`, { method: "DELETE" })).body;
  assert.match(deletion, new RegExp(`"deletionGracePeriodSeconds":${ODD}\\b`));
  assert.match(deletion, /"deletionTimestamp":"9999-12-31T23:59:59Z"/);
  assert.equal(await grace(`${PATH}/a`, patch("merge-patch+json", '{"metadata":{"labels":{"x":"y"}}}')), LARGEST);
});
