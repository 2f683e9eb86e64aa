import "reflect-metadata"; // @peculiar/x509 looks for it when it is loaded
import { createPrivateKey, randomBytes, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import * as x509 from "@peculiar/x509";

/** A certificate and its private key, PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** Who signs: an authority's pair. */
export type Issuer = KeyPair;

export interface Subject {
  readonly commonName: string;
  readonly organization?: string;
  /** Names and addresses of a server. */
  readonly hosts: readonly string[];
  readonly usage: "server" | "client";
}

export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

const keyAlgorithm = { name: "ECDSA", namedCurve: "P-256" };
const signingAlgorithm = { name: "ECDSA", hash: "SHA-256" };

/** A certificate authority of its own, which signs leaves and nothing below them. */
export async function makeAuthority(commonName: string, validity: Validity): Promise<KeyPair> {
  const keys = await webcrypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: [commonName] }],
    ...validity,
    keys,
    signingAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: pem(cert.toString("pem")), key: await exportKey(keys.privateKey) };
}

/** A certificate that `issuer` signs, for a server or a client. */
export async function makeLeaf(issuer: Issuer, subject: Subject, validity: Validity): Promise<KeyPair> {
  const authority = new x509.X509Certificate(issuer.cert);
  const signingKey = await importKey(issuer.key);
  const keys = await webcrypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
  const usage = subject.usage === "server" ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth;
  const names = subject.hosts.map((host): x509.JsonGeneralName => ({ type: isIP(host) === 0 ? "dns" : "ip", value: host }));
  const cert = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [...(subject.organization === undefined ? [] : [{ O: [subject.organization] }]), { CN: [subject.commonName] }],
    issuer: authority.subject,
    ...validity,
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([usage]),
      await x509.AuthorityKeyIdentifierExtension.create(authority),
      ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
    ],
  });
  return { cert: pem(cert.toString("pem")), key: await exportKey(keys.privateKey) };
}

/** Positive, and never used before. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key));
  return createPrivateKey({ key: der, format: "der", type: "pkcs8" }).export({ type: "pkcs8", format: "pem" }).toString();
}

function importKey(text: string): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(text).export({ type: "pkcs8", format: "der" });
  return webcrypto.subtle.importKey("pkcs8", der, keyAlgorithm, false, ["sign"]);
}

function pem(text: string): string {
  return `${text.trim()}\n`;
}
