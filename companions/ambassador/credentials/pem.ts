import { X509Certificate } from "node:crypto";
import { getCACertificates } from "node:tls";

const BEGIN = "-----BEGIN ";
const END = "-----END ";

/** Why a file of certificates cannot be used; undefined: it can. OpenSSL passes over what it cannot parse, so that half a bundle would do as a smaller one. */
export function judgeCertificates(content: Buffer): string | undefined {
  const text = content.toString("latin1"); // PEM is ASCII; comments around it may be anything
  if (count(text, BEGIN) !== count(text, END)) return "ends in the middle of a certificate";
  const blocks = text.match(/-----BEGIN (X509 )?CERTIFICATE-----[^-]*-----END (X509 )?CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) return "has no certificate in PEM";
  const bad = blocks.findIndex((block) => !isCertificate(block));
  return bad < 0 ? undefined : `has a certificate that cannot be parsed, number ${bad + 1}`;
}

/** Why a file of a private key cannot be used, as far as it shows by itself; undefined: it can. */
export function judgeKey(content: Buffer): string | undefined {
  const text = content.toString("latin1");
  if (count(text, BEGIN) !== count(text, END)) return "ends in the middle of a key";
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: .*ENCRYPTED/m.test(text))
    return "is a key with a passphrase, which nobody is here to type";
  return /-----BEGIN ([A-Z]+ )?PRIVATE KEY-----/.test(text) ? undefined : "has no private key in PEM";
}

/**
 * Who is trusted where no `caFile` says it: the system's authorities (OpenSSL's places, SSL_CERT_FILE and SSL_CERT_DIR), so that an
 * administrator's own count; where there are none, as in an image of Node alone, those that Node brings; and NODE_EXTRA_CA_CERTS always.
 * Read once in the life of the process.
 */
export function systemAuthorities(): string[] {
  const system = getCACertificates("system");
  return [...new Set([...(system.length > 0 ? system : getCACertificates("bundled")), ...getCACertificates("extra")])];
}

function isCertificate(block: string): boolean {
  try {
    return new X509Certificate(block).raw.length > 0;
  } catch {
    return false; // that is the question
  }
}

function count(text: string, part: string): number {
  return text.split(part).length - 1;
}
