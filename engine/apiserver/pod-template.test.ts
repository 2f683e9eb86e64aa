import assert from "node:assert/strict";
import { test } from "node:test";
import { ask } from "./http/asking.fixture.ts";
import { clientBinaries, kubectlBackground, runClient, serving } from "./http/serving.fixture.ts";
import { eventually } from "@peapod/kit";

// A kind that asks for nothing special: its entry alone makes all of this work.

const manifest = (image: string): string => `
apiVersion: v1
kind: PodTemplate
metadata: { name: web, labels: { app: web } }
template:
  metadata: { labels: { app: web, tier: front } }
  spec: { containers: [{ name: main, image: "${image}" }, { name: side, image: "busybox:1" }] }
`;
const { kubectl } = clientBinaries("v35");
const path = "/api/v1/namespaces/default/podtemplates";

void test("kubectl works on PodTemplates as on any kind", async (context) => {
  await using served = await serving();
  const run = async (args: string[], input?: string): Promise<string> => {
    const result = await runClient(kubectl, served, args, input);
    assert.equal(result.exitCode, 0, `kubectl ${args.join(" ")}: ${result.stdout.slice(0, 1_000)}${result.stderr}`);
    return result.stdout;
  };
  const read = async (): Promise<Record<string, Record<string, unknown>>> =>
    JSON.parse(await run(["get", "podtemplate", "web", "-o", "json"])) as Record<string, Record<string, unknown>>; // kubectl's own JSON

  await context.test("discovery and OpenAPI", async () => {
    assert.match(await run(["api-resources", "--api-group="]), /^podtemplates +v1 +true +PodTemplate$/m);
    const { resources } = JSON.parse((await ask(served, "/api/v1")).body) as { resources: { name: string; verbs: string[] }[] };
    assert.equal(resources.find(({ name }) => name === "podtemplates")?.verbs.length, 8);
    assert.match(await run(["explain", "podtemplate.template.spec.containers.image"]), /^KIND: +PodTemplate/m);
    const { paths } = JSON.parse((await ask(served, "/openapi/v3/api/v1")).body) as { paths: Record<string, object> };
    assert.deepEqual(Object.keys(paths["/api/v1/namespaces/{namespace}/podtemplates/{name}"] ?? {}).sort(), [
      "delete",
      "get",
      "parameters",
      "patch",
      "put",
    ]);
    assert.equal(paths["/api/v1/namespaces/{namespace}/podtemplates/{name}/status"], undefined);
  });

  await context.test("apply, get, describe, watch, apply again, delete", async () => {
    const watch = kubectlBackground(kubectl, served, ["get", "podtemplates", "-w", "--no-headers"]);
    try {
      assert.equal(await run(["apply", "-f", "-"], manifest("nginx:1")), "podtemplate/web created\n");
      const made = await read();
      assert.equal(made["metadata"]?.["generation"], 1);
      const { spec } = made["template"] as { spec: Record<string, unknown> }; // as applied
      assert.equal(spec["restartPolicy"], "Always");
      assert.equal(spec["serviceAccountName"], undefined, "what admission adds to a pod");
      assert.match(
        await run(["get", "podtemplates"]),
        /^NAME +CONTAINERS +IMAGES +POD LABELS\nweb +main,side +nginx:1,busybox:1 +app=web,tier=front\n$/,
      );
      assert.match(await run(["describe", "podtemplate", "web"]), /Name: +web[\s\S]*Image: +nginx:1/);
      assert.equal(await run(["apply", "-f", "-"], manifest("nginx:1")), "podtemplate/web unchanged\n");
      await run(["label", "podtemplate", "web", "a=b"]);
      assert.equal((await read())["metadata"]?.["generation"], 1, "a label is no revision");
      assert.equal(await run(["apply", "-f", "-"], manifest("nginx:2")), "podtemplate/web configured\n");
      assert.equal((await read())["metadata"]?.["generation"], 2);
      await eventually(() => assert.match(watch.output(), /nginx:1[\s\S]*nginx:2/), { withinMs: 10_000 });
      assert.match(await run(["delete", "podtemplate", "web"]), /deleted/);
      assert.equal(await run(["get", "podtemplates", "-o", "name"]), "");
    } finally {
      await watch.stop();
    }
  });

  await context.test("a template is judged as a pod is", async () => {
    const wrong = await runClient(kubectl, served, ["apply", "-f", "-"], manifest("").replace("name: main", "name: Main"));
    assert.equal(wrong.exitCode, 1);
    assert.match(
      wrong.stderr,
      /template\.spec\.containers\[0\]\.name: Invalid value[\s\S]*template\.spec\.containers\[0\]\.image: Required/,
    );
    const refused = await runClient(kubectl, served, ["apply", "-f", "-"], manifest("a").replace("spec: {", "spec: { hostPID: true,"));
    assert.match(refused.stderr, /template\.spec\.hostPID: Forbidden/);
  });

  await context.test("a deletion answers with what was deleted", async () => {
    const headers = { "Content-Type": "application/yaml" };
    assert.equal((await ask(served, path, { method: "POST", headers, body: manifest("nginx:1") })).code, 201);
    const { code, body } = await ask(served, `${path}/web`, { method: "DELETE" });
    assert.deepEqual([code, (JSON.parse(body) as { kind: string }).kind], [200, "PodTemplate"]);
    assert.equal((await ask(served, `${path}?fieldSelector=spec.nodeName%3Dx`)).code, 400);
  });
});
