import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
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

test("readKubeconfig() asks a login program once for many requests, wherever its file stands in the list, and says what it answered", async (t) => {
  const user = { exec: { apiVersion: "client.authentication.k8s.io/v1", command: "./login", interactiveMode: "Never" } };
  const own = JSON.stringify({
    contexts: [{ name: "own", context: { cluster: "c", user: "u" } }],
    clusters: [{ name: "c", cluster: { server: "https://127.0.0.1:1", "certificate-authority": "ca.pem" } }],
    users: [{ name: "u", user: { ...user, as: "someone" } }],
  });
  const login = `#!/bin/sh\necho asked >> "$(dirname "$0")/asked"\n[ ! -e "$(dirname "$0")/broken" ] || { echo no luck >&2; exit 1; }
echo '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "t"}}'\n`;
  const path = await folder(t, { first: sample, own, login, "ca.pem": "CA" });
  await chmod(join(path, "login"), 0o755);
  const choice = { kubeconfig: `${join(path, "first")}:${join(path, "own")}`, context: "own" };
  const access = await readKubeconfig(choice);
  await access.authorize();
  const { headers, ca, agent } = await access.authorize();
  assert.deepEqual([headers, String(ca), agent], [{ Authorization: "Bearer t", "Impersonate-User": "someone" }, "CA", undefined]);
  assert.equal(await readFile(join(path, "asked"), "utf8"), "asked\n");
  await writeFile(join(path, "broken"), "");
  await assert.rejects(
    async () => (await readKubeconfig(choice)).authorize(),
    (error) => error instanceof KubeconfigError && /credentials of context "own".*: no luck$/.test(error.message),
  );
});

test("readKubeconfig() acts as whom the user names, and prefers a token's file", async (t) => {
  const user = { token: "old", tokenFile: "token", as: "dev", "as-groups": ["a", "b"], "as-user-extra": { "x/y": ["1"] } };
  const config = JSON.stringify({
    "current-context": "x",
    contexts: [{ name: "x", context: { cluster: "x", user: "x" } }],
    clusters: [{ name: "x", cluster: { server: "https://x" } }],
    users: [{ name: "x", user }],
  });
  const path = await folder(t, { config, token: "new\n" });
  assert.deepEqual((await (await readKubeconfig({ kubeconfig: join(path, "config") })).authorize()).headers, {
    authorization: "Bearer new",
    "Impersonate-User": "dev",
    "Impersonate-Group": ["a", "b"],
    "Impersonate-Extra-x%2Fy": ["1"],
  });
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
