import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { configMaps, type Pod, pods, secrets } from "@peapod/api";
import { clientBinaries, runClient, serving } from "./http/serving.fixture.ts";

const templates = `
apiVersion: v1
kind: ConfigMap
metadata: { name: "{{ .Release.Name }}-settings" }
data: { image: "{{ .Values.image }}" }
---
apiVersion: v1
kind: Secret
metadata: { name: "{{ .Release.Name }}-password" }
stringData: { password: swordfish }
---
apiVersion: v1
kind: Pod
metadata: { name: "{{ .Release.Name }}-web" }
spec: { containers: [{ name: main, image: "{{ .Values.image }}" }] }
`;

async function makeChart(folder: string): Promise<string> {
  const chart = join(folder, "chart");
  await mkdir(join(chart, "templates"), { recursive: true });
  await writeFile(join(chart, "Chart.yaml"), "apiVersion: v2\nname: tiny\nversion: 0.1.0\n");
  await writeFile(join(chart, "values.yaml"), "image: nginx:1\n");
  await writeFile(join(chart, "templates/all.yaml"), templates);
  return chart;
}

const helms = [
  { name: "Helm 3", binary: clientBinaries("v32").helm, clientSide: [] },
  { name: "Helm 4", binary: clientBinaries("v35").helm, clientSide: ["--server-side=false"] }, // it would rather apply on the server
];

for (const { name, binary, clientSide } of helms) {
  void test(`${name} installs, upgrades, rolls back, lists and uninstalls a chart`, async () => {
    await using served = await serving();
    const { api, folder } = served.ground;
    const chart = await makeChart(folder);
    const run = async (...args: string[]): Promise<string> => {
      const result = await runClient(binary, served, [...args, "--namespace", "team"]);
      assert.equal(result.exitCode, 0, `helm ${args.join(" ")}: ${result.stdout}${result.stderr}`);
      return result.stdout;
    };
    const image = (): string | undefined => {
      const pod = api.get(pods, { namespace: "team", name: "shop-web" }) as Pod; // the resource says the kind
      return pod.spec?.containers[0]?.image;
    };

    assert.match(await run("template", "shop", chart), /image: "nginx:1"/);
    assert.match(await run("install", "shop", chart, "--create-namespace", ...clientSide), /STATUS: deployed\nREVISION: 1\n/);
    assert.equal(image(), "nginx:1");
    assert.equal(api.list(configMaps, { namespace: "team" }).items[0]?.metadata.name, "shop-settings");
    assert.match(await run("upgrade", "shop", chart, "--set", "image=nginx:2", ...clientSide), /REVISION: 2\n/);
    assert.equal(image(), "nginx:2");
    await run("rollback", "shop", "1", ...clientSide);
    assert.equal(image(), "nginx:1");
    assert.match(await run("list"), /\nshop\s+team\s+3\s.*deployed\s+tiny-0\.1\.0\s*\n$/);
    assert.match(await run("history", "shop"), /\n1 .*superseded.*\n2 .*superseded.*\n3 .*deployed/);
    assert.equal(await run("uninstall", "shop"), 'release "shop" uninstalled\n');
    for (const resource of [pods, configMaps, secrets]) assert.deepEqual(api.list(resource, { namespace: "team" }).items, []);
    assert.match(await run("list"), /^NAME.*\n$/);
  });
}
