import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, createLogger, Scope, systemClock } from "@peapod/kit";
import { type CredentialProblem, type FileCredentials, openCredentials } from "./file-credentials.ts";

/** Credentials over a folder of a test's own, and what they said of them. */
export interface CredentialsTest extends AsyncDisposable {
  readonly scope: Scope;
  readonly folder: string;
  readonly credentials: FileCredentials;
  readonly problems: readonly CredentialProblem[];
  readonly logged: readonly string[];
  /** Writes a file into the folder, and gives its path. */
  write(name: string, content: string | Uint8Array): string;
}

/** Looks at the files every 5 ms rather than every second. */
const hastyClock: Clock = { ...systemClock, sleep: (_ms, signal) => systemClock.sleep(5, signal) };

export function credentialsTest(): CredentialsTest {
  const scope = new Scope();
  const folder = mkdtempSync(join(tmpdir(), "ambassador-credentials-"));
  scope.defer(() => rmSync(folder, { recursive: true, force: true }));
  const problems: CredentialProblem[] = [];
  const logged: string[] = [];
  const log = createLogger({ level: "debug", write: (line) => void logged.push(line) });
  const credentials = openCredentials({ log, clock: hastyClock, onProblem: (problem) => void problems.push(problem) });
  return {
    scope,
    folder,
    credentials,
    problems,
    logged,
    write: (name, content) => {
      const path = join(folder, name);
      writeFileSync(path, content);
      return path;
    },
    [Symbol.asyncDispose]: async () => await scope[Symbol.asyncDispose](),
  };
}

/** A Secret's volume, made and changed as a kubelet does: files are links through `..data` to a folder that is swapped whole. */
export class SecretVolume {
  readonly #folder: string;
  #generation = 0;
  #last: string | undefined;

  constructor(folder: string, files: Readonly<Record<string, string>>) {
    this.#folder = folder;
    this.swap(files);
    for (const name of Object.keys(files)) symlinkSync(join("..data", name), join(folder, name));
  }

  path(name: string): string {
    return join(this.#folder, name);
  }

  swap(files: Readonly<Record<string, string>>): void {
    this.#generation += 1;
    const data = `..2026_11_22_${this.#generation}`;
    mkdirSync(join(this.#folder, data));
    for (const [name, content] of Object.entries(files)) writeFileSync(join(this.#folder, data, name), content);
    symlinkSync(data, join(this.#folder, "..data_tmp"));
    renameSync(join(this.#folder, "..data_tmp"), join(this.#folder, "..data"));
    if (this.#last !== undefined) rmSync(join(this.#folder, this.#last), { recursive: true });
    this.#last = data;
  }
}
