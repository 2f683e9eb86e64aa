import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { listen } from "./listen.ts";
import { tcp } from "./pair.fixture.ts";
import type { Ends } from "./proxy-protocol.ts";
import type { Wire } from "./wire.ts";

for (const host of ["0.0.0.0", "::", "::0", "0:0:0:0:0:0:0:0", "0::0", "::0.0.0.0"])
  test(`listen() on every address, written ${host}, tells of each connection to which one it came`, async (t) => {
    const arrived = Promise.withResolvers<{ client: Wire; ends: Ends }>();
    const onConnection = (client: Wire, ends: Ends): void => arrived.resolve({ client, ends });
    const listening = await listen(
      { listen: { kind: "tcp", host, port: 0 }, socketMode: 0o600, acceptProxyProtocol: false, handshakeMs: 5_000 },
      { kind: "wire", onConnection, onRefused: arrived.reject },
    );
    t.after(() => listening.close());
    const { port } = tcp(listening.address);
    const socket = connect({ port, host: "127.0.0.1" }).on("error", arrived.reject); // of `::` too, which takes IPv4
    t.after(() => socket.destroy());
    const { client, ends } = await arrived.promise;
    t.after(() => client.destroy());
    assert.deepEqual(ends, { client: { address: "127.0.0.1", port: socket.localPort }, local: { address: "127.0.0.1", port } });
  });
