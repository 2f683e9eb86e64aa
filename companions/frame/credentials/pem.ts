import { X509Certificate } from "node:crypto";
import { getCACertificates } from "node:tls";

/** Why a file of certificates cannot be used; undefined: it can. OpenSSL passes over what it cannot parse, so that half a bundle would do as a smaller one. */
export function judgeCertificates(content: Buffer): string | undefined {
  const blocks = parsePem(content);
  if (blocks === undefined) return "is cut short";
  const certificates = blocks.filter(({ label }) => label === "CERTIFICATE" || label === "X509 CERTIFICATE");
  if (certificates.length === 0) return "has no certificate in PEM";
  const bad = certificates.findIndex(({ text }) => !isCertificate(text));
  return bad < 0 ? undefined : `has a certificate that cannot be parsed, number ${bad + 1}`;
}

/** Why a file of a private key cannot be used, as far as it shows by itself; undefined: it can. */
export function judgeKey(content: Buffer): string | undefined {
  const blocks = parsePem(content);
  if (blocks === undefined) return "is cut short";
  const key = blocks.find(({ label }) => label.endsWith("PRIVATE KEY"));
  if (key === undefined) return "has no private key in PEM";
  const isLocked = key.label === "ENCRYPTED PRIVATE KEY" || /^Proc-Type: .*ENCRYPTED/m.test(key.text);
  return isLocked ? "is a key with a passphrase, which nobody is here to type" : undefined;
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

interface PemBlock {
  readonly label: string;
  readonly text: string;
}

/** The blocks of a PEM file (RFC 7468), whatever stands between them; undefined where one has a beginning or an end alone, or a marker is cut. */
function parsePem(content: Buffer): PemBlock[] | undefined {
  const blocks: PemBlock[] = [];
  let open: { label: string; lines: string[] } | undefined;
  for (const line of content.toString("latin1").split(/\r?\n/)) {
    open?.lines.push(line);
    if (!line.startsWith("-")) continue;
    const [, marker, label = ""] = /^-----(BEGIN|END) ([A-Z0-9 ]+)-----\s*$/.exec(line) ?? [];
    if (marker === "BEGIN" && open === undefined) open = { label, lines: [line] };
    else if (marker === "END" && open?.label === label) {
      blocks.push({ label, text: `${open.lines.join("\n")}\n` });
      open = undefined;
    } else return undefined;
  }
  return open === undefined ? blocks : undefined;
}
