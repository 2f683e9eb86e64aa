import { Scope, silentLogger } from "@peapod/kit";
import { containerConfig, sandboxConfig } from "../../runtime.conformance.ts";
import { openOciRuntime } from "../oci-runtime.ts";

/**
 * A process of its own that makes pods as fast as it can, for a test that kills it at any moment.
 * Arguments: run directory, engine id, root file system, folder for logs. Says "ready" once it begins.
 */
const [runDir = "", engineId = "", rootfsPath = "", logDirectory = ""] = process.argv.slice(2);
const scope = new Scope();
const runtime = await openOciRuntime({ runDir, engineId, scope, log: silentLogger });
process.stdout.write("ready\n");
for (let round = 0; ; round += 1) {
  const pod = { name: `pod-${round}`, namespace: "default", uid: `${process.pid}-${round}` };
  const sandbox = await runtime.runPodSandbox({ ...sandboxConfig, pod, shareProcessNamespace: round % 2 === 1 }, scope.signal);
  const make = async (name: string): Promise<void> => {
    const args = ["sh", "-c", `echo ${pod.uid}-${name} >> /out/ran; echo up; sleep 1000; true`];
    const mounts = [{ hostPath: logDirectory, containerPath: "/out", readonly: false }];
    const id = await runtime.createContainer(
      sandbox.id,
      containerConfig({ rootfsPath, logDirectory }, { name, args, mounts }),
      scope.signal,
    );
    await runtime.startContainer(id, scope.signal);
  };
  await Promise.all(["a", "b"].map(make));
  if (round % 3 === 2) await runtime.removePodSandbox(sandbox.id, scope.signal);
}
