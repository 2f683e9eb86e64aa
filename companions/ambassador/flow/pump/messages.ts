import type { MessagePort } from "node:worker_threads";
import type { SideIndex } from "./counts.ts";

/** What the thread begins with. */
export interface PumpData {
  readonly port: MessagePort;
  readonly memory: SharedArrayBuffer;
}

/** To the pump's thread. */
export type PumpCommand =
  /** Pass bytes between these two sockets, which are connected and do not block, and count at this place. */
  | { readonly kind: "take"; readonly place: number; readonly client: number; readonly upstream: number }
  /** Pass no more; `back` is the answer, unless the connection ended by itself before. */
  | { readonly kind: "give back"; readonly place: number }
  | { readonly kind: "stop" };

/** From the pump's thread. */
export type PumpEvent =
  /** It waits; eight bytes written to this descriptor have it look for commands. */
  | { readonly kind: "ready"; readonly waker: number }
  /** The descriptors of this place will not be touched any more: the connection was asked for. */
  | { readonly kind: "back"; readonly place: number }
  /** The same, since it is over: both sides have ended, the last of them `side`; or this side broke, if `errno` is not 0. `first` ended, or broke, first. */
  | { readonly kind: "over"; readonly place: number; readonly side: SideIndex; readonly first: SideIndex; readonly errno: number };
