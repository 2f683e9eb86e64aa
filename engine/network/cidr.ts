/** A block of IPv4 addresses: `base` is its first address, the block has 2 ** (32 - prefixLength) of them. */
export interface Cidr {
  readonly base: number;
  readonly prefixLength: number;
}

/** Parses `10.1.2.3` into a number; undefined for anything else. */
export function parseAddress(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  const bytes = match?.slice(1).map(Number);
  if (bytes === undefined || bytes.some((byte) => byte > 255)) return undefined;
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}

/** Writes an address as `10.1.2.3`. */
export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
}

/** Parses `10.1.2.0/24`, or a single address as its own block; undefined for anything else. Bits after the prefix are dropped. */
export function parseCidr(text: string): Cidr | undefined {
  const [address, prefix, ...more] = text.split("/");
  const base = parseAddress(address ?? "");
  const prefixLength = prefix === undefined ? 32 : /^\d{1,2}$/.test(prefix) ? Number(prefix) : 33;
  if (base === undefined || prefixLength > 32 || more.length > 0) return undefined;
  const size = sizeOf({ base, prefixLength });
  return { base: Math.floor(base / size) * size, prefixLength };
}

/** Writes a block as `10.1.2.0/24`. */
export function formatCidr(cidr: Cidr): string {
  return `${formatAddress(cidr.base)}/${cidr.prefixLength}`;
}

/** How many addresses a block has. */
export function sizeOf(cidr: Cidr): number {
  return 2 ** (32 - cidr.prefixLength);
}

/** Tells whether two blocks have an address in common. */
export function overlaps(a: Cidr, b: Cidr): boolean {
  return a.base < b.base + sizeOf(b) && b.base < a.base + sizeOf(a);
}

/** Tells whether an address lies in a block. */
export function contains(cidr: Cidr, address: number): boolean {
  return address >= cidr.base && address < cidr.base + sizeOf(cidr);
}
