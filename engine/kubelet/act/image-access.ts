import type { Container } from "@peapod/api";
import { backoffMs, isAbort } from "@peapod/kit";
import { hasCode } from "../../errors.ts";
import type { Image } from "../../images/images.ts";
import type { ContainerNotes, PodRecord } from "../record/pod-record.ts";
import { describeError, recordEvent, type Services } from "../services.ts";
import { goDuration } from "../decide/status.ts";
import type { Turn } from "./turn.ts";

const PULL_CURVE = { initialMs: 10_000, maximumMs: 300_000 };
/** How long a status says ErrImagePull before it says ImagePullBackOff. */
const SHOW_ERROR_MS = 2_000;
const NEVER_RETRY_MS = 10_000;

/**
 * The image of a container, if it is here for it to start. If not, its pull has begun, or the container's notes say why not;
 * either way there will be another turn. A pull that is over before the pod is connected, as that of an image that is asked for always
 * and is here, costs none.
 */
export async function availableImage(turn: Turn, container: Container): Promise<Image | undefined> {
  const { services, record, signal } = turn;
  const notes = record.notesOf(container.name);
  const reference = container.image ?? "";
  if (notes.pulled !== undefined) return notes.pulled;
  const policy = container.imagePullPolicy ?? "IfNotPresent";
  try {
    const present = policy === "Always" ? undefined : await services.images.imageStatus(reference);
    if (present !== undefined) {
      recordEvent(
        services,
        record,
        "Normal",
        "Pulled",
        `Container image "${reference}" already present on machine and can be accessed by the pod`,
        container.name,
      );
      return present;
    }
  } catch (cause) {
    noteImageFailure(services, record, container, notes, cause);
    return undefined;
  }
  if (policy === "Never") {
    const message = `Container image "${reference}" is not present with pull policy of Never`;
    fail(services, notes, "ErrImageNeverPull", message, NEVER_RETRY_MS);
    recordEvent(services, record, "Warning", "ErrImageNeverPull", message, container.name);
    recordEvent(services, record, "Warning", "Failed", "Error: ErrImageNeverPull", container.name);
    return undefined;
  }
  if (notes.pullBackoff !== undefined && services.clock.monotonicMs() < notes.pullBackoff.untilMs) {
    const message = `Back-off pulling image "${reference}"`;
    const { untilMs, reason } = notes.pullBackoff;
    notes.failure = { reason: "ImagePullBackOff", message: `${message}: ${reason}`, retryAtMs: untilMs };
    recordEvent(services, record, "Normal", "BackOff", message, container.name);
    recordEvent(services, record, "Warning", "Failed", "Error: ImagePullBackOff", container.name);
    return undefined;
  }
  await Promise.race([beginPull(services, record, container, notes, signal), turn.connected]);
  return notes.pulled;
}

function beginPull(services: Services, record: PodRecord, container: Container, notes: ContainerNotes, signal: AbortSignal): Promise<void> {
  const pull = new AbortController();
  notes.pull = pull;
  recordEvent(services, record, "Normal", "Pulling", `Pulling image "${container.image}"`, container.name);
  const work = pullImage(services, record, container, notes, AbortSignal.any([signal, pull.signal])).finally(() => {
    if (notes.pull === pull) delete notes.pull;
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
    const image = await services.images.pullImage(reference, signal);
    notes.pulled = image;
    delete notes.pullBackoff;
    delete notes.failure;
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
  if (hasCode(cause, "IMAGE_NAME_INVALID")) {
    fail(services, notes, "InvalidImageName", `Failed to apply default image tag "${reference}": ${said}`, PULL_CURVE.maximumMs);
    recordEvent(services, record, "Warning", "InspectFailed", `Failed to apply default image tag "${reference}": ${said}`, container.name);
    recordEvent(services, record, "Warning", "Failed", "Error: InvalidImageName", container.name);
    return;
  }
  const nowMs = services.clock.monotonicMs();
  const delayMs =
    notes.pullBackoff === undefined ? PULL_CURVE.initialMs : Math.min(notes.pullBackoff.delayMs * 2, backoffMs(PULL_CURVE, 30));
  notes.pullBackoff = { delayMs, untilMs: nowMs + delayMs, reason: `ErrImagePull: ${said}` };
  fail(services, notes, "ErrImagePull", said, SHOW_ERROR_MS);
  recordEvent(services, record, "Warning", "Failed", `Failed to pull image "${reference}": ${said}`, container.name);
  recordEvent(services, record, "Warning", "Failed", "Error: ErrImagePull", container.name);
}

function fail(services: Services, notes: ContainerNotes, reason: string, message: string, retryInMs: number): void {
  notes.failure = { reason, message, retryAtMs: services.clock.monotonicMs() + retryInMs };
}
