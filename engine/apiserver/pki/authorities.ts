import type { KeyPair } from "./certificates.ts";
import { beginning, DAY_MS, endMsOf, readPair, writePair } from "./key-pair-file.ts";

/** An authority that signs, or has signed, certificates of this engine. */
export interface Authority extends KeyPair {
  readonly endMs: number;
}

const AUTHORITY_DAYS = 3_650;
/** So long before the last one ends its successor is made, and trusted: time for kubeconfigs that carry both to be handed out. */
const SUCCESSOR_DAYS = 395;
/** So long before its end an authority signs no more, and the next one does. */
const HANDOVER_DAYS = 90;
/** Only a clock that jumps about by decades makes so many. */
const MOST_AUTHORITIES = 8;

/**
 * The authorities kept in `folder`, the oldest first: `ca`, `ca-2` and so on. An authority that is there stays, and stays trusted, for
 * every kubeconfig that carries it: a clock that is wrong can add a successor, and never takes one away.
 */
export async function keepAuthorities(folder: string, nowMs: number): Promise<[Authority, ...Authority[]]> {
  const add = async (file: string): Promise<Authority> => {
    const { makeAuthority } = await import("./certificates.ts"); // slow to load, and needed once in years
    const notAfter = new Date(nowMs + AUTHORITY_DAYS * DAY_MS);
    const pair = await makeAuthority(file === "ca" ? "peapod" : `peapod ${file}`, { notBefore: beginning, notAfter });
    await writePair(folder, file, pair);
    return authority(pair);
  };
  const first = await readPair(folder, "ca");
  const authorities: [Authority, ...Authority[]] = [first === undefined ? await add("ca") : authority(first)];
  for (let number = 2; number <= MOST_AUTHORITIES; number += 1) {
    const file = `ca-${number}`;
    const next = await readPair(folder, file);
    if (next !== undefined) authorities.push(authority(next));
    else if (authorities.some(({ endMs }) => endMs - nowMs > SUCCESSOR_DAYS * DAY_MS)) return authorities;
    else authorities.push(await add(file));
  }
  return authorities;
}

/** Who signs now: the oldest that has time left, which most kubeconfigs carry; where none has, the one with the most. */
export function signerOf(authorities: readonly [Authority, ...Authority[]], nowMs: number): Authority {
  const lasting = authorities.find(({ endMs }) => endMs - nowMs > HANDOVER_DAYS * DAY_MS);
  return lasting ?? authorities.reduce((longest, each) => (each.endMs > longest.endMs ? each : longest));
}

function authority(pair: KeyPair): Authority {
  return { ...pair, endMs: endMsOf(pair.cert) };
}
