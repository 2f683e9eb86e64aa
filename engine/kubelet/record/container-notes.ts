import { backoffMs, type Clock } from "@peapod/kit";
import type { Image } from "../../images/images.ts";
import type { ContainerFailure, PullBackoff } from "../decide/image-access.ts";
import type { ContainerMemory, RestartBackoff } from "../decide/pod-seen.ts";

const RETRY_CURVE = { initialMs: 1_000, maximumMs: 60_000 };

/** What is remembered of one container of a specification, beside what the machine shows of its starts. */
export class ContainerNotes {
  #backoff: RestartBackoff | undefined;
  #failure: ContainerFailure | undefined;
  #failures = 0;
  #pull: AbortController | undefined;
  #pulled: Image | undefined;
  #pullBackoff: PullBackoff | undefined;

  /** A pull's result, for the next start alone. */
  get pulled(): Image | undefined {
    return this.#pulled;
  }

  get pullBackoff(): PullBackoff | undefined {
    return this.#pullBackoff;
  }

  /** What a plan is made from. */
  get memory(): Omit<ContainerMemory, "specHash"> {
    return {
      isPulling: this.#pull !== undefined,
      ...(this.#backoff === undefined ? {} : { backoff: this.#backoff }),
      ...(this.#failure === undefined ? {} : { failure: this.#failure }),
    };
  }

  /** A crash loop goes on where it was. */
  recallBackoff(backoff: RestartBackoff): void {
    this.#backoff = backoff;
  }

  /** A pull begins; aborting it is `cancelPull`'s. */
  pullBegins(pull: AbortController): void {
    this.#pull = pull;
  }

  /** It is over, however it went; another one may have begun meanwhile. */
  pullEnded(pull: AbortController): void {
    if (this.#pull === pull) this.#pull = undefined;
  }

  /** Its result is not wanted any more. */
  cancelPull(): void {
    this.#pull?.abort();
    this.#pull = undefined;
  }

  pullSucceeded(image: Image): void {
    this.#pulled = image;
    this.#pullBackoff = undefined;
    this.#failure = undefined;
  }

  pullFailed(backoff: PullBackoff, failure: ContainerFailure): void {
    this.#pullBackoff = backoff;
    this.#failure = failure;
  }

  /** There is no image to start from, and none is pulled now. */
  imageRefused(failure: ContainerFailure): void {
    this.#failure = failure;
  }

  /** It was made and started; `backoff` holds for the next start, if this one was a restart. */
  started(backoff: RestartBackoff | undefined): void {
    this.#failure = undefined;
    this.#failures = 0;
    this.#pulled = undefined;
    this.#backoff = backoff;
  }

  /** It could not be made: tried again the later the more often that was so. */
  notMade(reason: string, message: string, clock: Pick<Clock, "monotonicMs">): void {
    this.#failure = { reason, message, retryAtMs: clock.monotonicMs() + backoffMs(RETRY_CURVE, this.#failures) };
    this.#failures += 1;
  }

  /** What it named and was not there may be there now. */
  referencesChanged(): void {
    if (this.#failure?.reason === "CreateContainerConfigError") this.#failure = { ...this.#failure, retryAtMs: 0 };
  }
}
