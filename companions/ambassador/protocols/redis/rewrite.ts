import { randomBytes } from "node:crypto";
import { type Command, CommandScanner } from "./command-scanner.ts";
import { HiddenReplies } from "./hidden-replies.ts";
import { encodeCommand } from "./resp.ts";

export interface RewriteOptions {
  /** As AUTH takes it, and as its files say now; none: the application logs in by itself. */
  readonly auth: () => readonly string[];
  /** What a connection that was RESET is made ours again with. Each is answered by one line. */
  readonly login: () => readonly Buffer[];
  /** The login after a RESET was refused. */
  readonly onRefused: () => void;
  /** The application named a user, in AUTH or HELLO, whether or not that is replaced. */
  readonly onUser?: (name: string) => void;
  /** For tests; default: random. */
  readonly newMarker?: () => string;
}

export interface Taps {
  readonly fromClient: (chunk: Buffer) => Buffer;
  readonly fromUpstream: (chunk: Buffer) => Buffer;
  /** Whether a session that must end may do so here: not in a transaction. A subscription has no better moment than another. */
  readonly isPause: () => boolean;
}

/**
 * Keeps the application from logging in as somebody else, or out:
 * - its AUTH becomes ours, so that the server itself answers it, in its place in the stream, whatever state the connection is in (a
 *   transaction, subscriptions, CLIENT REPLY OFF);
 * - HELLO loses its AUTH option, and is answered by the server likewise;
 * - RESET is followed by a login, whose answers are taken out of the replies. A HELLO with a random option goes between: a server checks the
 *   options before the login, and its complaint about this one shows where RESET's own answer ends.
 */
export function makeTaps({ auth, login, onRefused, onUser, newMarker = randomMarker }: RewriteOptions): Taps {
  const replies = new HiddenReplies(onRefused);
  const rewrite = ([name, ...args]: Command): Buffer | undefined => {
    switch (String(name).toUpperCase()) {
      case "AUTH": {
        if (args.length === 2) onUser?.(String(args[0]));
        const ours = args.length === 1 || args.length === 2 ? auth() : [];
        return ours.length === 0 ? undefined : encodeCommand("AUTH", ...ours);
      }
      case "HELLO": {
        const without = withoutAuth(args);
        if (without !== undefined) onUser?.(without.user);
        return without === undefined || auth().length === 0 ? undefined : without.hello;
      }
      case "RESET": {
        const commands = args.length === 0 ? login() : [];
        if (commands.length === 0) return undefined;
        const marker = newMarker();
        replies.expect(marker, commands.length);
        return Buffer.concat([encodeCommand("RESET"), encodeCommand("HELLO", "2", marker), ...commands]);
      }
      default:
        return undefined;
    }
  };
  const commands = new CommandScanner(rewrite);
  return { fromClient: (chunk) => commands.scan(chunk), fromUpstream: (chunk) => replies.scan(chunk), isPause: () => commands.isPause };
}

/** `HELLO [version [AUTH user password] [SETNAME name]]` with the AUTH gone; undefined where there is none. */
function withoutAuth(args: readonly Buffer[]): { readonly hello: Buffer; readonly user: string } | undefined {
  const kept: Buffer[] = args.slice(0, 1);
  let user: string | undefined;
  for (let at = 1; at < args.length; at++) {
    const arg = args[at] ?? Buffer.alloc(0);
    const option = arg.toString("latin1").toUpperCase();
    if (option === "AUTH" && at + 2 < args.length) {
      user = String(args[at + 1]);
      at += 2;
      continue;
    }
    kept.push(arg);
    const name = option === "SETNAME" ? args[++at] : undefined;
    if (name !== undefined) kept.push(name);
  }
  return user === undefined ? undefined : { hello: encodeCommand("HELLO", ...kept), user };
}

function randomMarker(): string {
  return randomBytes(16).toString("hex").toUpperCase();
}
