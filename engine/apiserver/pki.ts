import { X509Certificate } from "node:crypto";
import { chmod, mkdir } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { readTextIfPresent, writeFileAtomic } from "@peapod/kit";
import type { Issuer, KeyPair, Subject } from "./certificates.ts";

/** What the API server and its administrator show each other; all PEM. */
export interface Pki {
  /** The authority's certificate, which a kubeconfig carries. */
  readonly ca: string;
  readonly serverCert: string;
  readonly serverKey: string;
  readonly adminCert: string;
  readonly adminKey: string;
}

const DAY_MS = 24 * 60 * 60 * 1_000;
const CA_DAYS = 3_650;
const LEAF_DAYS = 365;
/** Renewed when less is left: an engine that is restarted once in a while never shows an expired one. */
const RENEW_CA_DAYS = LEAF_DAYS + 30;
const RENEW_LEAF_DAYS = 90;

const alwaysNamed = ["localhost", "127.0.0.1", "::1", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];

/**
 * The certificates kept in `folder`, made where they are missing, near their end, of another authority, or for other `hosts` than those
 * given (names and addresses that the server is reached by, besides this machine's own). The folder is 0700, its files 0600.
 */
export async function openPki(folder: string, hosts: readonly string[], nowMs: number = Date.now()): Promise<Pki> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  const names = [...new Set([...alwaysNamed, ...hosts])].filter((host) => host !== "" && host !== "0.0.0.0" && host !== "::");
  const ca = await keep(
    folder,
    "ca",
    (pair) => isFresh(pair, RENEW_CA_DAYS, nowMs),
    async () => {
      const { makeAuthority } = await import("./certificates.ts"); // slow to load, and needed once a year
      return makeAuthority("peapod", validity(CA_DAYS, nowMs));
    },
  );
  const leaf = (file: string, subject: Subject): Promise<KeyPair> =>
    keep(
      folder,
      file,
      (pair) => isFresh(pair, RENEW_LEAF_DAYS, nowMs) && isIssuedBy(pair, ca) && namesAll(pair, subject.hosts),
      async () => {
        const { makeLeaf } = await import("./certificates.ts"); // as above
        return makeLeaf(ca satisfies Issuer, subject, validity(LEAF_DAYS, nowMs));
      },
    );
  const [server, admin] = await Promise.all([
    leaf("server", { commonName: "peapod-apiserver", hosts: names, usage: "server" }),
    leaf("admin", { commonName: "kubernetes-admin", organization: "system:masters", hosts: [], usage: "client" }),
  ]);
  return { ca: ca.cert, serverCert: server.cert, serverKey: server.key, adminCert: admin.cert, adminKey: admin.key };
}

async function keep(folder: string, file: string, isGood: (pair: KeyPair) => boolean, make: () => Promise<KeyPair>): Promise<KeyPair> {
  const [certPath, keyPath] = [join(folder, `${file}.crt`), join(folder, `${file}.key`)];
  const [cert, key] = await Promise.all([readTextIfPresent(certPath), readTextIfPresent(keyPath)]);
  if (cert !== undefined && key !== undefined && isGood({ cert, key })) return { cert, key };
  const pair = await make();
  await writeFileAtomic(keyPath, pair.key, { mode: 0o600, sync: true });
  await writeFileAtomic(certPath, pair.cert, { mode: 0o600, sync: true }); // last: a certificate stands for a finished pair
  return pair;
}

function isFresh({ cert, key }: KeyPair, daysLeft: number, nowMs: number): boolean {
  const parsed = parse(cert);
  if (parsed === undefined || !key.includes("PRIVATE KEY")) return false;
  return parsed.validFromDate.getTime() <= nowMs && parsed.validToDate.getTime() - nowMs > daysLeft * DAY_MS;
}

function isIssuedBy({ cert }: KeyPair, ca: KeyPair): boolean {
  const [parsed, authority] = [parse(cert), parse(ca.cert)];
  return parsed !== undefined && authority !== undefined && parsed.verify(authority.publicKey);
}

function namesAll({ cert }: KeyPair, hosts: readonly string[]): boolean {
  const parsed = parse(cert);
  if (parsed === undefined) return false;
  return hosts.every((host) => (isIP(host) === 0 ? parsed.checkHost(host) : parsed.checkIP(host)) !== undefined);
}

function parse(cert: string): X509Certificate | undefined {
  try {
    return new X509Certificate(cert);
  } catch {
    return undefined; // a damaged file is made anew
  }
}

/** From a little before now, for clocks that differ. */
function validity(days: number, nowMs: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(nowMs - 60 * 60 * 1_000), notAfter: new Date(nowMs + days * DAY_MS) };
}
