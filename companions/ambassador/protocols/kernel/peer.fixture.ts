/** A server of its own process: `node peer.fixture.ts HOST PORT NAME`. It greets with its name and the client's address, then says what it hears. */
import { createServer } from "node:net";

const [host = "", port = "", name = ""] = process.argv.slice(2);
createServer((socket) => {
  socket.on("error", () => socket.destroy());
  socket.write(`${name} ${socket.remoteAddress}\n`);
  socket.pipe(socket);
}).listen(Number(port), host);
