import { rm } from "node:fs/promises";
import { join } from "node:path";
import { isDiskClosed, type Logger, type Scope, writeFileAtomic } from "@peapod/kit";

/** How a serving engine is found: an address, and the administrator's credentials. */
export interface Presence {
  readonly stateDir: string;
  readonly runDir: string;
  /** `127.0.0.1:7443`, with the port it really has. */
  readonly address: string;
  readonly version: string;
  /** PEM texts. */
  readonly ca: string;
  readonly adminCertificate: string;
  readonly adminKey: string;
}

/** Writes the administrator's kubeconfig, and `engine.json`, which is there only while this engine serves. */
export async function announce(presence: Presence, log: Logger, scope: Scope): Promise<void> {
  const { stateDir, runDir, address, version } = presence;
  try {
    await writeFileAtomic(join(stateDir, "admin.kubeconfig"), kubeconfig(presence), { ifChanged: true });
  } catch (error) {
    if (!isDiskClosed(error)) throw error;
    log.error("admin.kubeconfig not written: kubectl may not find this engine; with the address of before (--listen) it does", { error });
  }
  const record = join(runDir, "engine.json");
  await writeFileAtomic(record, `${JSON.stringify({ pid: process.pid, listen: address, version, startTime: new Date().toISOString() })}\n`);
  scope.defer(() => rm(record, { force: true }));
}

/** A kubeconfig with one context, `peapod`. JSON, which is YAML. */
function kubeconfig({ address, ca, adminCertificate, adminKey }: Presence): string {
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": "peapod",
    clusters: [{ name: "peapod", cluster: { server: `https://${address}`, "certificate-authority-data": base64(ca) } }],
    users: [{ name: "peapod-admin", user: { "client-certificate-data": base64(adminCertificate), "client-key-data": base64(adminKey) } }],
    contexts: [{ name: "peapod", context: { cluster: "peapod", user: "peapod-admin", namespace: "default" } }],
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}
