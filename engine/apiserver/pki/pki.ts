import { isIP } from "node:net";
import { makePrivateFolder } from "@peapod/kit";
import { type Authority, keepAuthorities, signerOf } from "./authorities.ts";
import type { KeyPair, Subject } from "./certificates.ts";
import { beginning, DAY_MS, endMsOf, keepPair, parseCertificate } from "./key-pair-file.ts";

/** What the API server and its administrator show each other; all PEM. */
export interface Pki {
  /** The certificates of the authorities that are trusted, which a kubeconfig carries: one, and a second while it takes over from the first. */
  readonly ca: string;
  readonly serverCert: string;
  readonly serverKey: string;
  readonly adminCert: string;
  readonly adminKey: string;
}

const LEAF_DAYS = 365;
/** Renewed when less is left: an engine that is restarted once in a while never shows an expired one. */
const RENEW_LEAF_DAYS = 90;

const alwaysNamed = ["localhost", "127.0.0.1", "::1", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];

/**
 * The certificates kept in `folder`, made where they are missing, near their end, of another authority, or for other `hosts` than those
 * given (names and addresses that the server is reached by, besides this machine's own). Authorities stay, whatever the clock says. The
 * folder is 0700, its files 0600.
 */
export async function openPki(folder: string, hosts: readonly string[], nowMs: number = Date.now()): Promise<Pki> {
  await makePrivateFolder(folder);
  const names = [...new Set([...alwaysNamed, ...hosts])].filter((host) => host !== "" && host !== "0.0.0.0" && host !== "::");
  const authorities = await keepAuthorities(folder, nowMs);
  const signer = signerOf(authorities, nowMs);
  const leaf = (file: string, subject: Subject): Promise<KeyPair> => keepLeaf(folder, file, subject, signer, nowMs);
  const [server, admin] = await Promise.all([
    leaf("server", { commonName: "peapod-apiserver", hosts: names, usage: "server" }),
    leaf("admin", { commonName: "kubernetes-admin", organization: "system:masters", hosts: [], usage: "client" }),
  ]);
  const ca = authorities.map(({ cert }) => cert).join("");
  return { ca, serverCert: server.cert, serverKey: server.key, adminCert: admin.cert, adminKey: admin.key };
}

/** Kept while it is of the signer, names all hosts and has time left; a signer that ends sooner than it would ends it, too. */
async function keepLeaf(folder: string, file: string, subject: Subject, signer: Authority, nowMs: number): Promise<KeyPair> {
  const endMs = Math.min(nowMs + LEAF_DAYS * DAY_MS, signer.endMs);
  const renewMs = Math.min(nowMs + RENEW_LEAF_DAYS * DAY_MS, endMs - 1);
  const isGood = ({ cert }: KeyPair): boolean =>
    endMsOf(cert) > renewMs && beginMsOf(cert) <= nowMs && isIssuedBy(cert, signer.cert) && namesAll(cert, subject.hosts);
  return keepPair(folder, file, isGood, async () => {
    const { makeLeaf } = await import("./certificates.ts"); // slow to load, and needed once a year
    return makeLeaf(signer, subject, { notBefore: beginning, notAfter: new Date(endMs) });
  });
}

function beginMsOf(cert: string): number {
  return parseCertificate(cert)?.validFromDate.getTime() ?? Infinity;
}

function isIssuedBy(cert: string, authority: string): boolean {
  const [parsed, issuer] = [parseCertificate(cert), parseCertificate(authority)];
  return parsed !== undefined && issuer !== undefined && parsed.verify(issuer.publicKey);
}

function namesAll(cert: string, hosts: readonly string[]): boolean {
  const parsed = parseCertificate(cert);
  if (parsed === undefined) return false;
  return hosts.every((host) => (isIP(host) === 0 ? parsed.checkHost(host) : parsed.checkIP(host)) !== undefined);
}
