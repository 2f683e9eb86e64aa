import type { Container } from "@peapod/api";
import { isAbort } from "@peapod/kit";
import { hasCode } from "../../errors.ts";
import type { Image } from "../../images/images.ts";
import type { ContainerNotes } from "../record/container-notes.ts";
import type { PodRecord } from "../record/pod-record.ts";
import { orAbandoned } from "../abandon.ts";
import { describeError, recordEvent, type Services } from "../services.ts";
import { asksAlways, type ContainerFailure, nameFailure, nextPullBackoff, planImage, pullFailure } from "../decide/image-access.ts";
import { goDuration } from "../decide/status.ts";
import type { Turn } from "./turn.ts";

/**
 * The image of a container, if it is here for it to start. If not, its pull has begun, or the container's notes say why not;
 * either way there will be another turn. A pull that is over before the pod is connected, as that of an image that is asked for always
 * and is here, costs none.
 */
export async function availableImage(turn: Turn, container: Container, connected: Promise<unknown>): Promise<Image | undefined> {
  const { services, record, signal } = turn;
  const notes = record.notesOf(container.name);
  const reference = container.image ?? "";
  if (notes.pulled !== undefined) return notes.pulled;
  let present: Image | undefined;
  try {
    present = asksAlways(container) ? undefined : await services.images.imageStatus(reference, signal);
  } catch (cause) {
    signal.throwIfAborted();
    noteImageFailure(services, record, container, notes, cause);
    return undefined;
  }
  const step = planImage(container, present !== undefined, notes.pullBackoff, services.clock.monotonicMs());
  switch (step.kind) {
    case "use": {
      const message = `Container image "${reference}" already present on machine and can be accessed by the pod`;
      recordEvent(services, record, "Normal", "Pulled", message, container.name);
      return present;
    }
    case "wait":
      notes.imageRefused(step.failure);
      tellWait(services, record, container, step.failure);
      return undefined;
    case "pull":
      await Promise.race([beginPull(services, record, container, notes, signal), connected]);
      return notes.pulled;
  }
}

function tellWait(services: Services, record: PodRecord, container: Container, { reason, message }: ContainerFailure): void {
  if (reason === "ErrImageNeverPull") recordEvent(services, record, "Warning", reason, message, container.name);
  else recordEvent(services, record, "Normal", "BackOff", `Back-off pulling image "${container.image ?? ""}"`, container.name);
  recordEvent(services, record, "Warning", "Failed", `Error: ${reason}`, container.name);
}

function beginPull(services: Services, record: PodRecord, container: Container, notes: ContainerNotes, signal: AbortSignal): Promise<void> {
  const pull = new AbortController();
  notes.pullBegins(pull);
  recordEvent(services, record, "Normal", "Pulling", `Pulling image "${container.image}"`, container.name);
  const work = pullImage(services, record, container, notes, AbortSignal.any([signal, pull.signal])).finally(() => {
    notes.pullEnded(pull);
    services.notify(record.uid);
  });
  services.inBackground(work);
  return work;
}

/** Never rejects. */
async function pullImage(
  services: Services,
  record: PodRecord,
  container: Container,
  notes: ContainerNotes,
  signal: AbortSignal,
): Promise<void> {
  const reference = container.image ?? "";
  const startedMs = services.clock.monotonicMs();
  try {
    const image = await orAbandoned(services.images.pullImage(reference, signal), signal);
    notes.pullSucceeded(image);
    const took = goDuration(services.clock.monotonicMs() - startedMs);
    const message = `Successfully pulled image "${reference}" in ${took} (${took} including waiting). Image size: ${image.sizeBytes} bytes.`;
    recordEvent(services, record, "Normal", "Pulled", message, container.name);
  } catch (cause) {
    if (!isAbort(cause, signal)) noteImageFailure(services, record, container, notes, cause);
  }
}

function noteImageFailure(services: Services, record: PodRecord, container: Container, notes: ContainerNotes, cause: unknown): void {
  const reference = container.image ?? "";
  const said = describeError(cause);
  const nowMs = services.clock.monotonicMs();
  if (hasCode(cause, "IMAGE_NAME_INVALID")) {
    const failure = nameFailure(container, said, nowMs);
    notes.imageRefused(failure);
    recordEvent(services, record, "Warning", "InspectFailed", failure.message, container.name);
    recordEvent(services, record, "Warning", "Failed", "Error: InvalidImageName", container.name);
    return;
  }
  notes.pullFailed(nextPullBackoff(notes.pullBackoff, said, nowMs), pullFailure(said, nowMs));
  recordEvent(services, record, "Warning", "Failed", `Failed to pull image "${reference}": ${said}`, container.name);
  recordEvent(services, record, "Warning", "Failed", "Error: ErrImagePull", container.name);
}
