/** What of tar-stream is used here, in tests; it brings no types. */
declare module "tar-stream" {
  import type { Readable, Writable } from "node:stream";

  export interface Header {
    name: string;
    mode: number;
    uid: number;
    gid: number;
    size: number;
    mtime: Date;
    type: string;
    linkname: string | null;
    devmajor: number;
    devminor: number;
    /** The extended header; undefined where there is none. */
    pax?: Record<string, string> | null;
  }

  export interface Pack extends Readable {
    entry(header: Partial<Header> & { name: string }, content?: Uint8Array | string): Writable;
    finalize(): void;
  }

  export function pack(): Pack;
}
