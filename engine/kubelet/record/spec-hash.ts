import { createHash } from "node:crypto";
import type { Container } from "@peapod/api";

/** The fields of a container that may change in a pod, and want a new container: its image. */
export function containerSpecHash(container: Container): string {
  return createHash("sha256")
    .update(JSON.stringify({ name: container.name, image: container.image }))
    .digest("hex")
    .slice(0, 16);
}
