import { constants, createHash, type KeyObject, publicEncrypt } from "node:crypto";

/** `mysql_native_password`: SHA1(password) XOR SHA1(salt + SHA1(SHA1(password))). Empty for an empty password. */
export function nativeScramble(password: Buffer, salt: Buffer): Buffer {
  if (password.length === 0) return password;
  const once = digest("sha1", password);
  return xor(once, digest("sha1", salt, digest("sha1", once)));
}

/** `caching_sha2_password`: SHA256(password) XOR SHA256(SHA256(SHA256(password)) + salt). Empty for an empty password. */
export function cachingSha2Scramble(password: Buffer, salt: Buffer): Buffer {
  if (password.length === 0) return password;
  const once = digest("sha256", password);
  return xor(once, digest("sha256", digest("sha256", once), salt));
}

/**
 * The password for a server that knows only its hash, over a channel that is not encrypted: XORed with the salt, then RSA with OAEP.
 * Throws for a password too long for the key (a key of 2048 bits takes 213 bytes).
 */
export function encryptPassword(password: Buffer, salt: Buffer, key: KeyObject): Buffer {
  const ended = Buffer.concat([password, Buffer.alloc(1)]);
  return publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha1" }, xor(ended, salt));
}

function digest(algorithm: "sha1" | "sha256", ...parts: readonly Buffer[]): Buffer {
  const hash = createHash(algorithm);
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** `mask` is repeated as often as it takes. */
function xor(bytes: Buffer, mask: Buffer): Buffer {
  return Buffer.from(bytes.map((byte, index) => byte ^ (mask[index % mask.length] ?? 0)));
}
