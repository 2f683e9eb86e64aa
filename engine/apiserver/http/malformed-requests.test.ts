import assert from "node:assert/strict";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { test } from "node:test";
import { pods } from "@peapod/api";
import { startTimer } from "@peapod/kit";
import { minimalPod } from "../verbs/api-ground.fixture.ts";
import { type Serving, serving } from "./serving.fixture.ts";
import { StubNodeServer } from "../subresources/stub-node-server.fixture.ts";

/** Whoever has it then still waits for more, and is left. */
const PATIENCE_MS = 150;
const AT_ONCE = 40;

const EXEC = "/api/v1/namespaces/default/pods/a/exec?command=cat&stdin=true&stdout=true&tty=true";
const text = (...lines: string[]): Buffer => Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
const upgrade = (target: string, ...more: string[]): Buffer =>
  text(`GET ${target} HTTP/1.1`, "Host: x", "Connection: Upgrade", "Upgrade: websocket", ...more);
const webSocket = ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol: v5.channel.k8s.io"];
/** A masked frame, with a mask of zeros. */
const frame = (opcode: number, payload: string): Buffer =>
  Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0, ...Buffer.from(payload, "latin1")]);

const targets = [
  "*",
  "*%",
  "//[",
  "http://[",
  "/%",
  "/api/v1/namespaces/%ff/pods?watch=%",
  "/peapod.dev/v1/%",
  "?",
  "/openapi/v3/../..",
  EXEC,
];
const requests: readonly Buffer[] = [
  ...targets.flatMap((target) => [
    text(`GET ${target} HTTP/1.1`, "Host: x"),
    text(`POST ${target} HTTP/1.1`, "Host: [", "Content-Length: 3", "Content-Type: application/json", "", "{"),
    text(`CONNECT ${target} HTTP/1.1`, "Host: x"),
    upgrade(target),
    upgrade(target, ...webSocket),
    upgrade(target, "Sec-WebSocket-Version: 99", ...webSocket.slice(1)),
  ]),
  text("GET / HTTP/9.9"),
  text("GET /version HTTP/1.1", "Host: x", "Expect: something", "Accept: ;;;,q=x"),
  text("PATCH /api/v1/namespaces/default/pods/a HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", "", "ffffffffffffffffff"),
  text("PRI * HTTP/2.0", "", "SM"),
  text("GET /version HTTP/1.1", "Host: [", "Origin: http://[", "Sec-Fetch-Site: %"),
  text("GET /version HTTP/1.1", "Host: x", "Accept-Encoding: gzip;q=%", "Content-Encoding: x", "Content-Length: 1", "", "x"),
  ...["\x04[", "\x04null", '\x04{"Width":1e9,"Height":1}', '\x04{"Width":9,"Height":9}', "\xff\x00", "\xff", "", "\x00x", "\x07"].flatMap(
    (message) => [Buffer.concat([upgrade(EXEC, ...webSocket), frame(2, message), frame(2, "\xff\x00"), frame(2, message)])],
  ),
  Buffer.concat([upgrade(EXEC, ...webSocket), frame(15, "x")]),
  Buffer.concat([upgrade(EXEC, ...webSocket), Buffer.from([0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])]),
];

async function begin(socket: Socket, start: Buffer): Promise<void> {
  socket.on("error", () => {}); // being cut off is an answer
  socket.resume().end(start);
  using _timer = startTimer(() => socket.destroy(), PATIENCE_MS);
  await new Promise((resolve) => socket.once("close", resolve));
}

function connect({ port, pki }: Serving): Socket {
  return connectTls({ host: "127.0.0.1", port, ca: pki.ca, cert: pki.adminCert, key: pki.adminKey });
}

/** A terminal that ended a moment ago: whatever is asked of it throws. */
class BrokenTerminals extends StubNodeServer {
  override async exec(...args: Parameters<StubNodeServer["exec"]>): ReturnType<StubNodeServer["exec"]> {
    const broken = (): never => {
      throw new Error("ioctl(2) failed, EBADF");
    };
    return { ...(await super.exec(...args)), resize: broken, closeStdin: broken, exitCode: Promise.reject(new Error("it went wrong")) };
  }
}

for (const node of [new StubNodeServer(), new BrokenTerminals()]) {
  test(`whatever a client sends ends its own connection, and no other (${node.constructor.name})`, async () => {
    await using served = await serving({ nodeServer: node });
    served.ground.api.create(pods, "default", minimalPod("a", { nodeName: "n" }), {});
    const left = requests.flatMap((start) => [
      () => begin(connect(served), start),
      () => begin(connectTcp(served.port, "127.0.0.1"), start),
    ]);
    const one = async (): Promise<void> => {
      for (let next = left.pop(); next !== undefined; next = left.pop()) await next();
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    assert.equal(await answerTo(served, "/version"), "HTTP/1.1 200 OK");
    assert.equal(await answerTo(served, "//["), "HTTP/1.1 400 Bad Request");
  });
}

async function answerTo(served: Serving, target: string): Promise<string | undefined> {
  const socket = connect(served);
  socket.end(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  let answer = "";
  for await (const chunk of socket) answer += String(chunk);
  return answer.split("\r\n")[0];
}
