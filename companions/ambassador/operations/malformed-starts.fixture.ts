/** What peers may begin with: each protocol's own beginnings, and what has gone wrong with them. The same at each call with the same seed. */
export function* malformedStarts(seed: number): Generator<Buffer> {
  yield* wrong;
  for (const start of beginnings) {
    yield start;
    for (let round = 0; round < 6; round++) yield mutate(start, random);
  }
  for (let round = 0; round < 6; round++) yield Buffer.from(Array.from({ length: 1 + random(300) }, () => random(256)));

  function random(below: number): number {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0; // the C standard's example: any will do
    return Math.floor((seed / 2 ** 32) * below);
  }
}

/** Changes some bytes, leaves some out, or writes some twice. */
function mutate(start: Buffer, random: (below: number) => number): Buffer {
  const bytes = [...start];
  for (let count = 1 + random(4); count > 0 && bytes.length > 0; count--) {
    const at = random(bytes.length);
    const how = random(3);
    if (how === 0) bytes[at] = random(256);
    else if (how === 1) bytes.splice(at, 1 + random(8));
    else bytes.splice(at, 0, ...bytes.slice(at, at + 1 + random(8)));
  }
  return Buffer.from(bytes);
}

const text = (...lines: string[]): Buffer => Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
const hex = (digits: string): Buffer => Buffer.from(digits.replaceAll(" ", ""), "hex");

/** Each ended, or could have ended, a program of ours or somebody's. */
const wrong: readonly Buffer[] = [
  text("GET *% HTTP/1.1", "Host: x"),
  text("GET //[ HTTP/1.1", "Host: x"),
  text("GET http://[ HTTP/1.1", "Host: x"),
  text("GET / HTTP/1.1", "Host: [", "Upgrade: websocket", "Connection: Upgrade"),
  text("CONNECT % HTTP/1.1", "Host: x"),
  text("OPTIONS * HTTP/1.0"),
  text("POST / HTTP/1.1", "Host: x", "Expect: 100-continue", "Transfer-Encoding: chunked", "", "fffffffffffffffff", "x"),
  text("POST / HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", "", "0", "Trailer: \x80\xff", "content-length: 1"),
  text("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade"),
  text("HTTP/1.1 103 \x80", "Link: \xff", "", "HTTP/1.1 200", "Transfer-Encoding: chunked", "", "0", "\x80: x"),
  text("PROXY TCP4 999.1.1.1 1.1.1.1 1 99999"),
  hex("0d0a0d0a000d0a515549540a 21 11 ffff 0102"),
  hex("ffffffff"),
  hex("7fffffff 00030000"),
  Buffer.from("*1000000000\r\n$-5\r\n"),
  Buffer.alloc(0),
];

/** Well-formed ones, of clients and of servers. */
const beginnings: readonly Buffer[] = [
  text("GET / HTTP/1.1", "Host: x", "Connection: close"),
  text("HTTP/1.1 200 OK", "Content-Length: 2", "", "ok"),
  text("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "", "2", "ok", "0", "A: b"),
  hex("00000027 00030000 7573657200 726f6f7400 6461746162617365 00 706f737467726573 00 00"), // PostgreSQL: StartupMessage
  hex("00000008 04d2162f"), // SSLRequest
  hex("00000010 04d2162e 00000001 00000002"), // CancelRequest
  hex("52 00000017 0000000a 534352414d2d5348412d323536 00 00"), // AuthenticationSASL
  hex("52 00000008 00000000 5a 00000005 49"), // AuthenticationOk, ReadyForQuery
  hex("45 00000011 53 4641 54414c 00 4d 6e6f 00 00"), // ErrorResponse
  hex(
    "4a0000000a 382e302e333600 08000000 0102030405060708 00 ffff 21 0200 ffdf 15 00000000000000000000 090a0b0c0d0e0f1011121314 00 63616368696e675f736861325f70617373776f726400",
  ), // MySQL: greeting
  hex("20000001 85a6ff01 00000001 21 0000000000000000000000000000000000000000000000 726f6f7400 00"), // HandshakeResponse41
  hex("07000002 00000002000000"), // OK
  Buffer.from("*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n*1\r\n$5\r\nRESET\r\n*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"), // Redis: commands
  Buffer.from("+OK\r\n+PONG\r\n-ERR x\r\n*1\r\n$6\r\nmaster\r\n"), // replies
  hex("16030100 31 0100002d 0303 0000000000000000000000000000000000000000000000000000000000000000 00 0002 1301 0100 0000"), // TLS: ClientHello
  hex("1503030002 0228"), // its alert
  text("PROXY TCP4 192.0.2.1 192.0.2.2 1 2"),
  hex("0d0a0d0a000d0a515549540a 21 11 000c 01020304 05060708 0001 0002"), // PROXY, version 2
];
