import { createHash } from "node:crypto";

/*
 * MariaDB's `ed25519` plugin signs the server's nonce as RFC 8032 does, but for the secret: SHA-512 of the password itself in place of
 * SHA-512 of a 32-byte seed. That rules node:crypto out, which takes seeds alone. BigInt arithmetic takes time that depends on the numbers;
 * here it runs once for each login, a few milliseconds before a network's jitter.
 */

const FIELD = 2n ** 255n - 19n;
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
/** Twice the curve's d = -121665/121666. */
const TWICE_D = (2n * 37095705934669439343138083508754565189542113879843219016388785533085940283555n) % FIELD;

/** Extended homogeneous coordinates: x = X/Z, y = Y/Z, X*Y = Z*T. */
interface Point {
  readonly x: bigint;
  readonly y: bigint;
  readonly z: bigint;
  readonly t: bigint;
}

const BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202n;
const BASE_Y = 46316835694926478169428394003475163141307993866256225615783033603165251855960n;
const BASE: Point = { x: BASE_X, y: BASE_Y, z: 1n, t: mod(BASE_X * BASE_Y) };

/** The 64-byte answer to a server's nonce; empty for an empty password. */
export function signEd25519(password: Buffer, nonce: Buffer): Buffer {
  if (password.length === 0) return password;
  const secret = createHash("sha512").update(password).digest();
  const clamped = Buffer.from(secret.subarray(0, 32));
  clamped.writeUInt8(clamped.readUInt8(0) & 0xf8, 0);
  clamped.writeUInt8((clamped.readUInt8(31) & 0x3f) | 0x40, 31);
  const scalar = fromLittleEndian(clamped);
  const publicKey = encodePoint(multiply(scalar));
  const once = hashToScalar(secret.subarray(32), nonce);
  const commitment = encodePoint(multiply(once));
  const proof = (once + hashToScalar(commitment, publicKey, nonce) * scalar) % ORDER;
  return Buffer.concat([commitment, toLittleEndian(proof)]);
}

function hashToScalar(...parts: readonly Buffer[]): bigint {
  return fromLittleEndian(createHash("sha512").update(Buffer.concat(parts)).digest()) % ORDER;
}

function multiply(scalar: bigint): Point {
  let sum: Point = { x: 0n, y: 1n, z: 1n, t: 0n };
  let power = BASE;
  for (let rest = scalar; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) sum = add(sum, power);
    power = add(power, power);
  }
  return sum;
}

/** RFC 8032, 5.1.4; complete, so it doubles too. */
function add(p: Point, q: Point): Point {
  const a = mod((p.y - p.x) * (q.y - q.x));
  const b = mod((p.y + p.x) * (q.y + q.x));
  const c = mod(mod(p.t * TWICE_D) * q.t);
  const d = mod(2n * p.z * q.z);
  const [e, f, g, h] = [b - a, d - c, d + c, b + a];
  return { x: mod(e * f), y: mod(g * h), z: mod(f * g), t: mod(e * h) };
}

function encodePoint({ x, y, z }: Point): Buffer {
  const inverse = power(z, FIELD - 2n);
  const sign = mod(x * inverse) & 1n;
  return toLittleEndian(mod(y * inverse) | (sign << 255n));
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = base;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = mod(result * square);
    square = mod(square * square);
  }
  return result;
}

function mod(value: bigint): bigint {
  const rest = value % FIELD;
  return rest < 0n ? rest + FIELD : rest;
}

function fromLittleEndian(bytes: Buffer): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
}

function toLittleEndian(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(64, "0"), "hex").reverse();
}
