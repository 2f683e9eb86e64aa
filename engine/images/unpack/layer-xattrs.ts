import { isErrno } from "@peapod/kit";
import { setExtendedAttribute } from "../../linux/libc.ts";
import { bytesOf } from "./layer-folders.ts";
import type { TarEntry } from "../tar/tar-entries.ts";

/** Only what means the same everywhere: never another machine's labels, never overlayfs' own marks. */
const takenXattrs = /^(?:user\.|security\.capability$|system\.posix_acl_(?:access|default)$)/;

/** Gives a file the extended attributes of its entry that mean something here. */
export function setXattrs(path: string, entry: TarEntry): void {
  for (const [name, value] of entry.xattrs) {
    if (!takenXattrs.test(name)) continue;
    try {
      setExtendedAttribute(bytesOf(path), name, value);
    } catch (cause) {
      // A file system without them can carry the file; without its capabilities it is another program.
      if (!isErrno(cause, "EOPNOTSUPP", "ENOTSUP", "EPERM") || name === "security.capability") throw cause;
    }
  }
}
