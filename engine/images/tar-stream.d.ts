/** What of tar-stream is used here; it brings no types. */
declare module "tar-stream" {
  import type { Readable, Writable } from "node:stream";

  export interface Header {
    name: string;
    mode: number;
    uid: number;
    gid: number;
    size: number;
    mtime: Date;
    /** null: a kind of entry it does not know. */
    type: string | null;
    linkname: string | null;
    devmajor: number;
    devminor: number;
    /** The extended header; undefined where there is none. */
    pax?: Record<string, string> | null;
  }

  export interface Extract extends Writable {
    on(event: "entry", listener: (header: Header, body: Readable, next: (error?: Error) => void) => void): this;
    on(event: "error", listener: (error: Error) => void): this;
    on(event: "finish" | "close" | "drain", listener: () => void): this;
    /** Internal: takes a long-name or extended header's bytes. */
    _decodeLongHeader(bytes: Uint8Array): void;
    _header: Header | null;
    _pax: Record<string, string> | null;
    _paxGlobal: Record<string, string> | null;
  }

  export function extract(options: { filenameEncoding: string; allowUnknownFormat: boolean }): Extract;

  export interface Pack extends Readable {
    entry(header: Partial<Header> & { name: string }, content?: Uint8Array | string): Writable;
    finalize(): void;
  }

  export function pack(): Pack;
}
