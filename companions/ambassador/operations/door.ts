import type { Acceptor } from "../flow/acceptor.ts";
import { listen, type Listening } from "../flow/listen.ts";
import { formatAddress } from "../../frame/address.ts";
import type { Listener } from "./listener.ts";

/** A listening socket, and the listener that its connections go to now. */
export class Door {
  readonly key: string;
  #listener: Listener;
  #listening: Listening | undefined;

  private constructor(listener: Listener) {
    this.key = doorKey(listener);
    this.#listener = listener;
  }

  /** Listens for a listener. Throws LISTEN_FAILED. */
  static async open(listener: Listener): Promise<Door> {
    const door = new Door(listener);
    await door.reopen();
    return door;
  }

  /** Where it listens, with the port that was got. */
  get address(): string {
    return this.#listening === undefined ? "" : formatAddress(this.#listening.address);
  }

  /** New connections go to this listener, of the same key, from now on. */
  handTo(listener: Listener): void {
    this.#listener = listener;
  }

  /** Safe to repeat. Connections that it has accepted go on. */
  async close(): Promise<void> {
    await this.#listening?.close();
  }

  /** Listens again after a close. Throws LISTEN_FAILED. */
  async reopen(): Promise<void> {
    this.#listening = await listen(this.#listener.config, this.#acceptor());
  }

  /** Whether both could not be open at once: the same path or port, for all that is known of the addresses. */
  isInTheWayOf(listener: Listener): boolean {
    const own = this.#listener.config.listen;
    const other = listener.config.listen;
    if (own.kind === "unix" || other.kind === "unix") return own.kind === "unix" && other.kind === "unix" && own.path === other.path;
    return own.port === other.port && own.port !== 0;
  }

  #acceptor(): Acceptor {
    const onRefused: Acceptor["onRefused"] = (error) => this.#listener.refused(error);
    const onConnection: Extract<Acceptor, { kind: "wire" }>["onConnection"] & Extract<Acceptor, { kind: "socket" }>["onConnection"] = (
      client,
      ends,
    ) => this.#listener.accept(client, ends);
    return { kind: this.#listener.protocol.kind, onConnection, onRefused };
  }
}

/** Equal for two listeners that can share a listening socket: what is fixed when it is opened. */
export function doorKey({ config, protocol }: Listener): string {
  const { listen: address, socketMode, acceptProxyProtocol, handshakeMs } = config;
  return JSON.stringify([
    formatAddress(address),
    address.kind === "tcp" && address.port === 0 ? config.name : "", // any free port is another one for each
    address.kind === "unix" ? socketMode : 0,
    protocol.kind,
    acceptProxyProtocol ? handshakeMs : 0,
  ]);
}
