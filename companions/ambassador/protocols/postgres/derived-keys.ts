import { createHmac, pbkdf2 } from "node:crypto";
import { promisify } from "node:util";
import type { Secret } from "../../../frame/credentials/secret.ts";
import { saslprepPassword } from "./saslprep.ts";
import type { ScramKeys } from "./scram.ts";

const derive = promisify(pbkdf2);
/** A password has one salt on each server that does not share its tables with another; more are a server that invents them. */
const KEPT_SALTS = 64;

/** SCRAM keys by password and salt: the thousands of hashes of one login are done once, off the main thread. Keeps no password. */
export class DerivedKeys {
  readonly #keys = new Map<string, Promise<ScramKeys>>();
  #version: number | undefined;

  /** How many keys are kept. */
  get size(): number {
    return this.#keys.size;
  }

  /** The keys; the same promise to all who ask while they are made. */
  get(password: Secret, salt: Buffer, iterations: number): Promise<ScramKeys> {
    if (this.#version !== password.version) this.clear();
    this.#version = password.version;
    const name = `${iterations}:${salt.toString("latin1")}`;
    const kept = this.#keys.get(name) ?? deriveKeys(password.text, salt, iterations);
    this.#keys.delete(name);
    this.#keys.set(name, kept); // the last used goes last
    const [oldest] = this.#keys.keys();
    if (this.#keys.size > KEPT_SALTS && oldest !== undefined) this.#keys.delete(oldest);
    return kept;
  }

  /** Forgets all. */
  clear(): void {
    this.#keys.clear();
  }
}

async function deriveKeys(password: string, salt: Buffer, iterations: number): Promise<ScramKeys> {
  const salted = await derive(await saslprepPassword(password), salt, iterations, 32, "sha256");
  const key = (name: string): Buffer => createHmac("sha256", salted).update(name).digest();
  return { clientKey: key("Client Key"), serverKey: key("Server Key") };
}
