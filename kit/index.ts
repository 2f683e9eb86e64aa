export { type BackoffCurve, backoffMs } from "./backoff.ts";
export { Cleanups } from "./cleanups.ts";
export { type Clock, monotonicOf, systemClock, wallOf } from "./clock.ts";
export { contain } from "./contain.ts";
export { eventually } from "./eventually.ts";
export { giveWay } from "./give-way.ts";
export {
  isDiskClosed,
  isErrno,
  makePrivateFolder,
  readTextIfPresent,
  readTextIfPresentNow,
  removeTemporaries,
  syncFolder,
  writeFileAtomic,
} from "./files.ts";
export { KeyedWorker } from "./keyed-worker.ts";
export { LatestHub } from "./latest-hub.ts";
export { splitLines } from "./lines.ts";
export { createLogger, type LogFields, type Logger, type LogLevel, silentLogger } from "./log.ts";
export { messageOf } from "./message-of.ts";
export { CommandError, type CommandOptions, type CommandResult, run, type RunningCommand, type StartCommand } from "./run.ts";
export { Scope } from "./scope.ts";
export { SteppingClock } from "./stepping-clock.ts";
export { isAbort, runTogether, type Task, untilAborted, untilSignal } from "./tasks.ts";
export { abortAfter, delay, startInterval, startTimer, type Timer } from "./timers.ts";
export { watchFolder } from "./watch-folder.ts";
