import { abortAfter, Scope, silentLogger } from "@peapod/kit";
import { openBridgeNetwork } from "./open-bridge-network.ts";

const { signal } = new AbortController();

// For the test that kills an engine: connects and disconnects pods without end. Arguments: state directory, lock, engine id, namespaces.
const [stateDir = "", lockPath = "", engineId = "", ...namespaces] = process.argv.slice(2);
const network = await openBridgeNetwork({ stateDir, engineId, log: silentLogger, scope: new Scope(), lockPath });
const churn = async (netns: string, index: number): Promise<void> => {
  for (;;) {
    const ports = [{ protocol: "TCP", hostIP: "", hostPort: 8080 + index, containerPort: 80 }] as const;
    await network.attach(`pod-${index}`, netns, index === 0 ? [] : ports, abortAfter(10_000));
    await network.detach(`pod-${index}`, signal);
  }
};
process.stdout.write("ready\n");
await Promise.all(namespaces.map(churn));
