/** The bits of MySQL's and MariaDB's capabilities that change what the ambassador reads or writes. The others pass as they are. */
export const capability = {
  /** MariaDB: unset by a server, or a client, that has MariaDB's extended capabilities. */
  MYSQL: 1,
  CONNECT_WITH_DB: 1 << 3,
  COMPRESS: 1 << 5,
  PROTOCOL_41: 1 << 9,
  SSL: 1 << 11,
  TRANSACTIONS: 1 << 13,
  SECURE_CONNECTION: 1 << 15,
  PLUGIN_AUTH: 1 << 19,
  CONNECT_ATTRS: 1 << 20,
  PLUGIN_AUTH_LENENC: 1 << 21,
  DEPRECATE_EOF: 1 << 24,
  ZSTD: 1 << 26,
  MULTI_FACTOR: 1 << 28,
} as const;

/** MariaDB's COM_MULTI, long given up: it would carry a COM_CHANGE_USER past us. */
const MARIADB_COM_MULTI = 1 << 1;

/** What only one hop can have: the TLS and the compression of one side are not the other's; more than one factor is nobody's to inject. */
const OF_ONE_HOP = capability.SSL | capability.COMPRESS | capability.ZSTD | capability.MULTI_FACTOR;

/** What a server offers, or a client has chosen. */
export interface Capabilities {
  /** 32 bits. */
  readonly base: number;
  /** MariaDB's next 32 bits; 0 with MySQL. */
  readonly mariadb: number;
}

export function has({ base }: Capabilities, bit: number): boolean {
  return (base & bit) !== 0;
}

/** Without what belongs to one hop alone; everything else means the same on both sides, or the bytes could not pass untouched. */
export function shared({ base, mariadb }: Capabilities): Capabilities {
  return { base: (base & ~OF_ONE_HOP) >>> 0, mariadb: (mariadb & ~MARIADB_COM_MULTI) >>> 0 };
}

/** With some bits set and others not. */
export function adjust({ base, mariadb }: Capabilities, { set, clear }: { readonly set: number; readonly clear: number }): Capabilities {
  return { base: ((base & ~clear) | set) >>> 0, mariadb };
}

/** Whether a server offers all that a client has chosen because another server offered it. */
export function coversChoice(offered: Capabilities, before: Capabilities, chosen: Capabilities): boolean {
  const missing = chosen.base & before.base & ~offered.base & ~OF_ONE_HOP;
  return missing === 0 && (chosen.mariadb & ~offered.mariadb) === 0;
}
