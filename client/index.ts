export {
  ApiError,
  type Client,
  type DeleteOptions,
  type NamedObject,
  type ObjectList,
  type Patch,
  type Selection,
  type WatchEvent,
  type WriteOptions,
} from "./client.ts";
export type { ExecQuery, ExecStream } from "./exec-stream.ts";
export { connectHttp, type HttpClient, type LogQuery } from "./http.ts";
export { KubeconfigError } from "./kubeconfig.ts";
export type { Exchange } from "./transport.ts";
export { connectInProcess, type InProcessApi } from "./in-process.ts";
export { EventRecorder, type EventRecorderOptions, type EventSubject } from "./event-recorder.ts";
export { objectKey, Reflector, type ReflectorOptions } from "./reflector.ts";
export { exactNumber, yamlDialect } from "./yaml-dialect.ts";
