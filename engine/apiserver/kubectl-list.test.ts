import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { clientBinaries, runClient, serving } from "./http/serving.fixture.ts";

function listOf(kind: "List" | "PodList", image: string, { typo = false } = {}): string {
  const container = {
    name: "main",
    [typo ? "imge" : "image"]: image,
    ports: [{ containerPort: 80 }],
    resources: { limits: { cpu: 1, memory: "64Mi" } },
  };
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "web" }, spec: { containers: [container] } };
  const settings = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings" }, data: { image } };
  return JSON.stringify({ apiVersion: "v1", kind, items: kind === "List" ? [settings, pod] : [pod] });
}

for (const version of ["v32", "v35"] as const) {
  const binary = clientBinaries(version).kubectl;

  void test(`kubectl ${version} applies and deletes lists, which it validates by /openapi/v2`, async (context) => {
    await using served = await serving();
    const file = join(served.ground.folder, "list.json");
    const run = async (list: string, args: readonly string[]): Promise<string> => {
      await writeFile(file, list);
      const result = await runClient(binary, served, [...args, "-f", file]);
      assert.equal(result.exitCode, 0, result.stderr);
      return result.stdout;
    };
    const image = async (): Promise<string> =>
      (await runClient(binary, served, ["get", "pod", "web", "-o", "jsonpath={.spec.containers[*].image} {.metadata.generation}"])).stdout;

    await context.test("apply, again, with a change, and delete", async () => {
      assert.equal(await run(listOf("List", "nginx:1"), ["apply"]), "configmap/settings created\npod/web created\n");
      assert.match(await run(listOf("List", "nginx:1"), ["apply"]), /^configmap\/settings unchanged\npod\/web /); // a cpu of 1 is never "1"
      assert.equal(await image(), "nginx:1 1");
      assert.equal(await run(listOf("List", "nginx:2"), ["apply"]), "configmap/settings configured\npod/web configured\n");
      assert.equal(await image(), "nginx:2 2");
      assert.match(await run(listOf("List", "nginx:2"), ["delete", "--now"]), /^configmap "settings" deleted.*\npod "web" deleted.*\n$/);
      assert.match((await runClient(binary, served, ["get", "cm,pod"])).stderr, /No resources found/);
    });

    await context.test("a typo is found before anything is sent", async () => {
      await writeFile(file, listOf("List", "nginx:1", { typo: true }));
      const result = await runClient(binary, served, ["apply", "-f", file]);
      assert.match(
        result.stderr,
        /ValidationError\(Pod\.spec\.containers\[0\]\): unknown field "imge" in io\.k8s\.api\.core\.v1\.Container/,
      );
      assert.deepEqual([result.exitCode, result.stdout], [1, ""]);
    });

    await context.test("a PodList", async () => {
      assert.equal(await run(listOf("PodList", "nginx:1"), ["apply"]), "pod/web created\n");
      assert.match(await run(listOf("PodList", "nginx:1"), ["delete", "--now"]), /^pod "web" deleted/);
    });

    await context.test("explain reads it too", async () => {
      const result = await runClient(binary, served, ["explain", "pod.spec.containers", "--output=plaintext-openapiv2"]);
      assert.match(result.stdout, /RESOURCE: containers <\[\]Object>.* command\t<\[\]string>.* name\t<string> -required-\n/s);
    });
  });
}
