import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { test } from "node:test";
import { Scope } from "@peapod/kit";
import type { UpstreamTlsConfig } from "../../config/config.ts";
import { makeAuthority } from "../../../frame/credentials/certificates.fixture.ts";
import { fileCredentials, listenOn } from "../tls/serving.fixture.ts";
import { fetchToken } from "./fetch-token.ts";

const value = (text: string) => ({ kind: "value", value: text }) as const;

test("fetchToken() asks over TLS a server that one of the configured authorities vouches for, and tells no other the secret", async () => {
  await using scope = new Scope();
  const [authority, other] = [await makeAuthority(scope), await makeAuthority(scope)];
  const { certFile, keyFile } = await authority.issue({ names: "DNS:localhost" });
  let asked = 0;
  const server = createServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) }, (incoming, response) => {
    asked++;
    const isRight = incoming.headers.authorization === `Basic ${Buffer.from("id:s3cret").toString("base64")}`;
    response.writeHead(isRight ? 200 : 401).end(JSON.stringify({ access_token: "token", token_type: "Bearer", expires_in: 60 }));
  });
  const port = await listenOn(server, scope);
  const fetch = async (given: Partial<UpstreamTlsConfig> | undefined, host = "localhost"): Promise<unknown> => {
    const unset = { certFile: undefined, keyFile: undefined, serverName: undefined };
    const tls = { mode: "verify-full", caFile: authority.caFile, ...unset, minVersion: "TLSv1.2", direct: false, ...given } as const;
    const config = { tokenUrl: `https://${host}:${port}/token`, clientId: value("id"), clientSecret: value("s3cret"), scopes: [] };
    return await fetchToken(
      { ...config, kind: "oauth2-client-credentials", audience: undefined, refreshBeforeMs: 1_000, tls: given && tls },
      fileCredentials,
    );
  };
  const token = { text: "token", lifeMs: 60_000 };
  assert.deepEqual(await fetch({}), token);
  assert.deepEqual(await fetch({ serverName: "localhost" }, "127.0.0.1"), token);
  assert.deepEqual(await fetch({ mode: "verify-ca" }, "127.0.0.1"), token);
  assert.equal(asked, 3);
  for (const refused of [() => fetch({ caFile: other.caFile }), () => fetch({}, "127.0.0.1"), () => fetch(undefined)])
    await assert.rejects(refused, ({ message }: Error) => /certificate|altnames/i.test(message) && !message.includes("s3cret"));
  assert.equal(asked, 3);
});
