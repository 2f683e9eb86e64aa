import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Scope } from "@peapod/kit";

const exec = promisify(execFile);

export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** An authority of a test's own, in a folder that goes with the scope. */
export interface TestAuthority {
  readonly folder: string;
  readonly caFile: string;
  /** Issues a certificate for `names` (`DNS:localhost,IP:127.0.0.1`); `days` below 0 has run out. Of the same name twice: the files are replaced. */
  issue(options?: { readonly name?: string; readonly names?: string; readonly days?: number }): Promise<CertificateFiles>;
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** Makes an authority with the real openssl. */
export async function makeAuthority(scope: Scope): Promise<TestAuthority> {
  const folder = await mkdtemp(join(tmpdir(), "ambassador-ca-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const caFile = join(folder, "ca.crt");
  const caKey = join(folder, "ca.key");
  const openssl = async (...args: string[]): Promise<unknown> => await exec("openssl", args, { cwd: folder });
  await openssl("req", "-x509", ...newKey, "-keyout", caKey, "-out", caFile, "-days", "2", "-subj", "/CN=an authority");
  return {
    folder,
    caFile,
    issue: async ({ name = "server", names = "DNS:localhost,IP:127.0.0.1", days = 1 } = {}) => {
      const [certFile, keyFile, request] = [join(folder, `${name}.crt`), join(folder, `${name}.key`), join(folder, `${name}.csr`)];
      await openssl("req", ...newKey, "-keyout", keyFile, "-out", request, "-subj", `/CN=${name}`, "-addext", `subjectAltName=${names}`);
      const sign = ["x509", "-req", "-in", request, "-CA", caFile, "-CAkey", caKey, "-CAcreateserial", "-copy_extensions", "copy"];
      await openssl(...sign, "-days", `${days}`, "-out", certFile);
      return { certFile, keyFile };
    },
  };
}
