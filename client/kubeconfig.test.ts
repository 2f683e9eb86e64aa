import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { KubeconfigError, readKubeconfig } from "./kubeconfig.ts";

const sample = `
apiVersion: v1
kind: Config
current-context: home
clusters:
- name: c
  cluster: {server: "https://127.0.0.1:7443", certificate-authority: ca.pem, tls-server-name: peapod}
- name: open
  cluster: {server: "http://127.0.0.1:1", insecure-skip-tls-verify: true}
users:
- name: admin
  user: {client-certificate-data: Q0VSVA==, client-key-data: S0VZ}
- name: robot
  user: {token: secret}
- name: plugin
  user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, args: [-c, 'echo "{\\"apiVersion\\": \\"client.authentication.k8s.io/v1\\", \\"kind\\": \\"ExecCredential\\", \\"status\\": {\\"token\\": \\"from-plugin\\"}}"'], interactiveMode: Never}}
contexts:
- name: home
  context: {cluster: c, user: admin, namespace: dev}
- name: robots
  context: {cluster: open, user: robot}
- name: plugins
  context: {cluster: open, user: plugin}
- name: broken
  context: {cluster: nowhere, user: robot}
`;

async function folder(t: TestContext, files: Record<string, string>): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "peapod-kubeconfig-"));
  t.after(() => rm(path, { recursive: true }));
  for (const [name, content] of Object.entries(files)) await writeFile(join(path, name), content);
  return path;
}

test("readKubeconfig() reads the current context, with files beside it", async (t) => {
  const path = await folder(t, { config: sample, "ca.pem": "CA" });
  const access = await readKubeconfig({ kubeconfig: join(path, "config") });
  assert.deepEqual([access.server.href, access.contextName, access.namespace], ["https://127.0.0.1:7443/", "home", "dev"]);
  const { ca, cert, key, servername, rejectUnauthorized, headers } = await access.authorize();
  assert.deepEqual([ca, cert, key].map(String), ["CA", "CERT", "KEY"]);
  assert.deepEqual([servername, rejectUnauthorized, headers], ["peapod", true, {}]);
});

test("readKubeconfig() reads another context, and tokens", async (t) => {
  const path = await folder(t, { config: sample });
  const access = await readKubeconfig({ kubeconfig: join(path, "config"), context: "robots" });
  assert.deepEqual(
    [access.namespace, await access.authorize()],
    ["default", { rejectUnauthorized: false, headers: { authorization: "Bearer secret" } }],
  );
});

test("readKubeconfig() asks login programs", async (t) => {
  const path = await folder(t, { config: sample });
  const { headers } = await (await readKubeconfig({ kubeconfig: join(path, "config"), context: "plugins" })).authorize();
  assert.equal(Object.entries(headers).find(([name]) => name.toLowerCase() === "authorization")?.[1], "Bearer from-plugin");
});

test("readKubeconfig() joins several files, the first to name something winning; one may be missing", async (t) => {
  const path = await folder(t, { config: sample, other: "current-context: robots\n" });
  const access = await readKubeconfig({ kubeconfig: `${join(path, "nothing")}:${join(path, "other")}:${join(path, "config")}` });
  assert.equal(access.contextName, "robots");
});

const mistakes: { config: string; context?: string; says: RegExp }[] = [
  { config: sample, context: "hom", says: /has no context "hom"; it has: home, robots, plugins, broken/ },
  { config: sample, context: "broken", says: /has no cluster "nowhere"/ },
  { config: "{}", says: /names no current context/ },
  { config: "a: [", says: /is neither YAML nor JSON/ },
  { config: "", says: /is empty/ },
];
for (const { config, context, says } of mistakes) {
  test(`readKubeconfig() says what is wrong: ${says.source}`, async (t) => {
    const kubeconfig = join(await folder(t, { config }), "config");
    const reading = readKubeconfig({ kubeconfig, ...(context === undefined ? {} : { context }) });
    await assert.rejects(reading, (error) => error instanceof KubeconfigError && says.test(error.message));
  });
}
