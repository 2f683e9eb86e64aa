import type { Logger } from "@peapod/kit";
import { hasCode } from "../../errors.ts";
import { runProgram } from "../ip-command.ts";

export interface NftTableOptions {
  readonly family: "ip" | "bridge";
  readonly name: string;
  /** All of it as `nft -f` takes it, with what its sets and maps are to hold now. */
  readonly render: () => string;
  /** The same elements by themselves, as nft writes them, without quotes: `tcp . 8080 : 10.1.2.3 . 80`. By set. */
  readonly elements: () => Readonly<Record<string, readonly string[]>>;
  readonly log: Logger;
}

/** What `nft -j list table` says of a table: its elements, and all else. */
interface Listing {
  readonly frame: string;
  readonly elements: Readonly<Record<string, readonly string[]>>;
}

/** One nftables table of the engine's own. It can be made anew at any time, in one transaction, and is where others damaged it. */
export class NftTable {
  readonly #options: NftTableOptions;
  /** Its chains, rules and sets without their elements, as they were when it was made. */
  #frame: string | undefined;
  /** Whether this nft writes elements as expected. One that does not must not look like damage, again and again. */
  #comparesElements = false;
  /** The end of the last change: they go one after the other, or a replaced table would bring back what was just taken out. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: NftTableOptions) {
    this.#options = options;
  }

  /** Does `work` when what was asked for before is done. */
  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {}); // its caller hears of it; the next one need not
    return turn;
  }

  /** Makes it anew, where it is and where it is not. In a turn. */
  async replace(): Promise<void> {
    const { family, name, render } = this.#options;
    const header = `table ${family} ${name}\n`;
    await nft("Cannot make the engine's nftables table", `${header}delete ${header}${render()}`);
    const made = await this.#list();
    this.#frame = made?.frame;
    this.#comparesElements = made !== undefined && areSame(made.elements, this.#options.elements());
  }

  /** Makes it anew where somebody else removed or changed any of it: `systemctl restart nftables` flushes every rule set. */
  async ensure(): Promise<void> {
    await this.inTurn(async () => {
      const { family, name, elements, log } = this.#options;
      const seen = await this.#list();
      if (seen !== undefined && seen.frame === this.#frame && (!this.#comparesElements || areSame(seen.elements, elements()))) return;
      log.warn("the engine's nftables table was removed or changed by somebody else; making it anew", { family, table: name });
      await this.replace();
    });
  }

  /** Whether it is there. */
  async isThere(): Promise<boolean> {
    return (await this.#list()) !== undefined;
  }

  /** Removes it. Safe to repeat. */
  async remove(): Promise<void> {
    const { family, name } = this.#options;
    await this.inTurn(() => nft("Cannot remove the engine's nftables table", `table ${family} ${name}\ndelete table ${family} ${name}\n`));
  }

  /** Undefined where it is not there. */
  async #list(): Promise<Listing | undefined> {
    const { family, name } = this.#options;
    try {
      return parseListing(await runProgram("nft", ["-j", "list", "table", family, name], { doing: "Cannot look at an nftables table" }));
    } catch (cause) {
      if (hasCode(cause, "NETWORK_FAILED")) return undefined;
      throw cause;
    }
  }
}

/** Runs lines of nft(8) as one transaction. Throws NETWORK_FAILED with its words. */
export async function nft(doing: string, input: string): Promise<void> {
  await runProgram("nft", ["-f", "-"], { doing, input });
}

/** Reads the output of `nft -j list table`. */
export function parseListing(json: string): Listing {
  const { nftables = [] } = JSON.parse(json) as { nftables?: Record<string, { name?: string; elem?: unknown[] }>[] }; // libnftables-json(5)
  const elements: Record<string, string[]> = {};
  const frame = nftables.filter((object) => !("metainfo" in object)).map((object) => withoutHandles(object, elements));
  return { frame: JSON.stringify(frame), elements };
}

/** An object without the numbers that the kernel gives, and without the elements of a set, which are noted. */
function withoutHandles(
  object: Readonly<Record<string, { name?: string; elem?: unknown[] }>>,
  elements: Record<string, string[]>,
): unknown {
  return Object.entries(object).map(([kind, { elem = [], ...rest }]) => {
    if (kind === "set" || kind === "map") elements[rest.name ?? ""] = elem.map(textOf);
    return [kind, { ...rest, handle: undefined }];
  });
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.map(textOf).join(" : ");
  if (typeof value === "object" && value !== null && "concat" in value && Array.isArray(value.concat))
    return value.concat.map(textOf).join(" . ");
  return typeof value === "string" ? value : JSON.stringify(value);
}

function areSame(seen: Listing["elements"], wanted: Listing["elements"]): boolean {
  return Object.entries(wanted).every(([set, elements]) => seen[set]?.toSorted().join("\n") === elements.toSorted().join("\n"));
}
