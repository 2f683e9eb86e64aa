import type { Wire } from "../../flow/wire.ts";
import type { Exchange } from "./exchange-state.ts";
import { switchingHead } from "./response-head.ts";
import type { Answer } from "./send.ts";

/** The upstream has changed the protocol: tells the client, and passes bytes until both sides have ended. */
export async function tunnel(exchange: Exchange, client: Wire, answer: Extract<Answer, { readonly kind: "upgrade" }>): Promise<void> {
  const { socket, response, session } = exchange;
  const { message } = answer;
  try {
    const text = switchingHead({ statusCode: 101, statusMessage: message.statusMessage ?? "", rawHeaders: message.rawHeaders });
    response.detachSocket(socket);
    socket.write(text, "latin1");
  } catch (cause) {
    answer.wire.destroy();
    throw cause;
  }
  await session.splice(client, answer.wire);
}
