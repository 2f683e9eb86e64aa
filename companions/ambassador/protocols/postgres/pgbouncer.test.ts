import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { eventually, Scope } from "@peapod/kit";
import { psql, psqlError, startAmbassador } from "./ambassador.fixture.ts";
import { freePort } from "./postgres-server.fixture.ts";

test("postgresProtocol does not blame PgBouncer for a startup parameter of the application's, but for having no place left", async () => {
  await using own = new Scope();
  const ejection = { failures: 1, duration: "30s" };
  const upstream = { endpoints: [`127.0.0.1:${await startPgbouncer(own)}`], ejection };
  const ambassador = await startAmbassador(own, upstream, { weakestAuth: "password" });
  for (let count = 0; count < 3; count++)
    assert.match(await psqlError(ambassador.port, "options='-c search_path=one'"), /FATAL: {2}unsupported startup parameter: options/);
  assert.equal(ambassador.endpoints()[0]?.ejectedUntilMs, undefined);
  assert.match(await psql(ambassador.port, "SHOW VERSION", "dbname=pgbouncer"), /^PgBouncer/);
  assert.match(await psqlError(ambassador.port), /FATAL: {2}no more connections allowed/);
  assert.notEqual(ambassador.endpoints()[0]?.ejectedUntilMs, undefined);
});

/** Starts Debian's PgBouncer with its console alone: it has no place for any other client. */
async function startPgbouncer(scope: Scope): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "ambassador-pgbouncer-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o755);
  const port = await freePort();
  await writeFile(join(folder, "users"), '"app" "secret"\n');
  const settings = {
    listen_addr: "127.0.0.1",
    listen_port: port,
    unix_socket_dir: "",
    auth_type: "plain",
    auth_file: join(folder, "users"),
  };
  const lines = Object.entries({ ...settings, admin_users: "app", max_client_conn: 0 }).map(([name, value]) => `${name} = ${value}\n`);
  await writeFile(join(folder, "pgbouncer.ini"), `[databases]\n* = host=127.0.0.1 port=1\n[pgbouncer]\n${lines.join("")}`);
  const asServer = process.getuid?.() === 0 ? ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"] : ["env"]; // it refuses to be root
  const [command = "", ...before] = asServer;
  const child = spawn(command, [...before, "pgbouncer", join(folder, "pgbouncer.ini")], { stdio: ["ignore", "ignore", "pipe"] });
  const exited = once(child, "exit");
  scope.defer(async () => {
    child.kill("SIGKILL");
    await exited;
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  await eventually(() => assert.match(said, /process up/), { withinMs: 5_000 });
  return port;
}
