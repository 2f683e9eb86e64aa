import { createHash, type X509Certificate } from "node:crypto";

/** The hash of a certificate's signature, by the OID of its algorithm. MD5 and SHA-1 count as SHA-256 (RFC 5929, 4.1). */
const hashes: Readonly<Record<string, string>> = {
  "1.2.840.113549.1.1.4": "sha256", // MD5 with RSA
  "1.2.840.113549.1.1.5": "sha256", // SHA-1 with RSA
  "1.2.840.113549.1.1.11": "sha256",
  "1.2.840.113549.1.1.12": "sha384",
  "1.2.840.113549.1.1.13": "sha512",
  "1.2.840.113549.1.1.14": "sha224",
  "1.2.840.10045.4.1": "sha256", // ECDSA with SHA-1
  "1.2.840.10045.4.3.1": "sha224",
  "1.2.840.10045.4.3.2": "sha256",
  "1.2.840.10045.4.3.3": "sha384",
  "1.2.840.10045.4.3.4": "sha512",
  "1.2.840.10040.4.3": "sha256", // DSA with SHA-1
  "2.16.840.1.101.3.4.3.1": "sha224",
  "2.16.840.1.101.3.4.3.2": "sha256",
};

const RSA_PSS = "1.2.840.113549.1.1.10";
/** DER of the OIDs that an RSA-PSS signature names its hash with; without one it is SHA-1. */
const pssHashes: readonly (readonly [der: string, hash: string])[] = [
  ["0609608648016503040201", "sha256"],
  ["0609608648016503040202", "sha384"],
  ["0609608648016503040203", "sha512"],
  ["0609608648016503040204", "sha224"],
];

/** The `tls-server-end-point` binding of a server's certificate (RFC 5929). Undefined where its signature has no single hash, as Ed25519. */
export function tlsServerEndPoint(certificate: X509Certificate): Buffer | undefined {
  const { signatureAlgorithmOid: oid, raw } = certificate;
  const hash = oid === RSA_PSS ? pssHash(raw) : hashes[oid];
  return hash === undefined ? undefined : createHash(hash).update(raw).digest();
}

/** Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OID, parameters }, signature }. */
function pssHash(certificate: Buffer): string | undefined {
  const outer = readElement(certificate, 0);
  const tbs = outer && readElement(certificate, outer.start);
  const algorithm = tbs && readElement(certificate, tbs.end);
  const oid = algorithm && readElement(certificate, algorithm.start);
  const parameters = oid && oid.end < algorithm.end ? readElement(certificate, oid.end) : undefined;
  const first = parameters && parameters.start < parameters.end ? readElement(certificate, parameters.start) : undefined;
  if (algorithm === undefined) return undefined;
  if (first === undefined || certificate[first.tag] !== 0xa0) return "sha256"; // the default, SHA-1
  const named = certificate.subarray(first.start, first.end).toString("hex");
  return pssHashes.find(([der]) => named.includes(der))?.[1];
}

/** Where a DER element's content begins and ends. */
function readElement(bytes: Buffer, tag: number): { tag: number; start: number; end: number } | undefined {
  const short = bytes[tag + 1];
  if (short === undefined) return undefined;
  const lengthBytes = short < 0x80 ? 0 : short & 0x7f;
  if (lengthBytes > 4 || tag + 2 + lengthBytes > bytes.length) return undefined;
  const start = tag + 2 + lengthBytes;
  const length = lengthBytes === 0 ? short : bytes.readUIntBE(tag + 2, lengthBytes);
  const end = start + length;
  return short === 0x80 || end > bytes.length ? undefined : { tag, start, end };
}
