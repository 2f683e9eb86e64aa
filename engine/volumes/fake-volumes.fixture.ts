import type { VolumePlan, VolumeService } from "./volumes.ts";

/** Volumes in memory: their plans and files by pod. */
export class FakeVolumes implements VolumeService {
  readonly plans = new Map<string, Map<string, VolumePlan>>();
  readonly files = new Map<string, Map<string, string>>();
  readonly #failures: { readonly call: string; readonly error: Error }[] = [];

  failNext(call: "setUp" | "subPath" | "tearDown" | "writePodFile", error: Error): void {
    this.#failures.push({ call, error });
  }

  async setUp(podUid: string, name: string, volume: VolumePlan): Promise<string> {
    this.#enter("setUp");
    this.plans.set(podUid, (this.plans.get(podUid) ?? new Map<string, VolumePlan>()).set(name, volume));
    return `/fake/volumes/${podUid}/${name}`;
  }

  async subPath(podUid: string, name: string, subPath: string): Promise<string> {
    this.#enter("subPath");
    return `/fake/volumes/${podUid}/${name}/${subPath}`;
  }

  async tearDown(podUid: string): Promise<void> {
    this.#enter("tearDown");
    this.plans.delete(podUid);
    this.files.delete(podUid);
  }

  async listPods(): Promise<string[]> {
    return [...new Set([...this.plans.keys(), ...this.files.keys()])];
  }

  async writePodFile(podUid: string, name: string, content: string): Promise<string> {
    this.#enter("writePodFile");
    this.files.set(podUid, (this.files.get(podUid) ?? new Map<string, string>()).set(name, content));
    return `/fake/volumes/${podUid}/${name}`;
  }

  #enter(call: string): void {
    const index = this.#failures.findIndex((failure) => failure.call === call);
    const [failure] = index < 0 ? [] : this.#failures.splice(index, 1);
    if (failure !== undefined) throw failure.error;
  }
}
