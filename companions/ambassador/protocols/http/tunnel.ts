import { Wire } from "../../flow/wire.ts";
import type { Exchange } from "./exchange.ts";
import { switchingHead } from "./response-head.ts";
import type { Answer } from "./send.ts";

/** The upstream has changed the protocol: tells the client, and passes bytes until both sides have ended. */
export async function tunnel(exchange: Exchange, head: Buffer, answer: Extract<Answer, { readonly kind: "upgrade" }>): Promise<void> {
  const { socket, response, session } = exchange;
  const { message } = answer;
  try {
    const text = switchingHead({ statusCode: 101, statusMessage: message.statusMessage ?? "", rawHeaders: message.rawHeaders });
    response.detachSocket(socket);
    socket.write(text, "latin1");
  } catch (cause) {
    answer.socket.destroy();
    throw cause;
  }
  answer.socket.allowHalfOpen = true;
  const client = new Wire(socket);
  client.unread(head);
  const upstream = new Wire(answer.socket);
  upstream.unread(answer.head);
  await session.splice(client, upstream);
}
