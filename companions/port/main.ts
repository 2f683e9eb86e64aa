/** Port to port. usage: node main.ts [run] [--config FILE] | check FILE | wait [FLAG...] | --help */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { abortAfter, untilAborted } from "@peapod/kit";
import { type Address, formatAddress } from "../frame/address.ts";
import type { CommonConfig } from "../frame/config/common.ts";
import { required } from "../frame/config/fields.ts";
import { flatSchema } from "../frame/config/flat-schema.ts";
import { endpointAddress, listenAddress } from "../frame/config/scalars.ts";
import { MovingServer } from "../frame/moving-server.ts";
import type { StartWork } from "../frame/program/companion.ts";
import { runProgram } from "../frame/program/program.ts";
import about from "./package.json" with { type: "json" };

type PortConfig = CommonConfig & { readonly listen: Address; readonly upstream: Address };

const startWork: StartWork<PortConfig> = ({ log }) => {
  const clients = new Set<Socket>();
  let config: PortConfig | undefined;
  const forward = (client: Socket): void => {
    if (config === undefined) return void client.destroy();
    const upstream = connect({ ...config.upstream, allowHalfOpen: true });
    upstream.on("error", ({ message }) => log.warn("connection failed", { error: message }));
    client.on("error", () => {}).once("close", (isBroken) => (isBroken ? upstream.destroy() : upstream.destroySoon())); // what came goes out
    upstream.once("close", (isBroken) => (isBroken ? client.resetAndDestroy() : client.destroySoon()));
    client.pipe(upstream).pipe(client);
    clients.add(client.once("close", () => clients.delete(client)));
  };
  const server = new MovingServer({ make: () => createServer({ allowHalfOpen: true }, forward), maxConnections: 10_000, log }); // more than a pod needs
  const end = async (over: AbortSignal): Promise<void> => {
    void untilAborted(over).then(() => clients.forEach((client) => client.destroy()));
    await Promise.all([server.moveTo(undefined), ...[...clients].map((client) => once(client, "close"))]);
  };
  return {
    apply: async (next) => {
      await server.moveTo(next.listen);
      config = next;
      return { upstream: formatAddress(next.upstream) };
    },
    run: (signal) => (log.info("port listens", { address: server.address }), untilAborted(signal)),
    drain: (hurry) => end(AbortSignal.any([hurry, abortAfter(config?.drainMs ?? 0)])),
    problems: () => [],
    [Symbol.asyncDispose]: () => end(AbortSignal.abort()),
  };
};

await runProgram<PortConfig>({
  name: "port",
  version: about.version,
  schema: flatSchema<PortConfig>("port", {
    listen: required({ type: listenAddress, help: "Where to listen: `0.0.0.0:8080`, `unix:/path`" }),
    upstream: required({ type: endpointAddress(undefined), help: "Where it goes: `127.0.0.1:3000`, `unix:/path`" }),
  }),
  help: {
    about: "Port to port: listens where the outside wants, and forwards to where the application listens.",
    run: "listen and forward",
  },
  load: async () => startWork,
});
