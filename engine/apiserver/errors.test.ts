import assert from "node:assert/strict";
import { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import { test } from "node:test";
import { badRequest } from "@peapod/api";
import { createLogger } from "@peapod/kit";
import { EngineError } from "../errors.ts";
import { reportedStatus, StatusError, statusOf } from "./errors.ts";

const codes: { error: unknown; code: number; reason: string; message: string }[] = [
  { error: new StatusError(badRequest("no")), code: 400, reason: "BadRequest", message: "no" },
  { error: new EngineError("IMAGE_NOT_FOUND", "no image"), code: 404, reason: "NotFound", message: "no image" },
  { error: new EngineError("STORE_FULL", "disk full"), code: 503, reason: "ServiceUnavailable", message: "disk full" },
  { error: new EngineError("RUNTIME_FAILED", "crun failed"), code: 500, reason: "InternalError", message: "crun failed" },
  { error: new TypeError("a bug"), code: 500, reason: "InternalError", message: "Internal error occurred: a bug" },
];
for (const { error, code, reason, message } of codes) {
  test(`statusOf() makes ${code} ${reason} of ${String(error)}`, () => {
    const status = statusOf(error);
    assert.deepEqual([status.code, status.reason, status.message], [code, reason, message]);
  });
}

const reports: { does: string; error: unknown; isGone?: true; levels: string[] }[] = [
  { does: "logs what is answered with 500 for somebody to look", error: new TypeError("a bug"), levels: ["error"] },
  { does: "logs nothing of a client's mistake", error: new StatusError(badRequest("no")), levels: [] },
  {
    does: "logs what a client that is gone is not told for whoever looks closely",
    error: new TypeError("a bug"),
    isGone: true,
    levels: ["debug"],
  },
];
for (const { does, error, isGone, levels } of reports) {
  test(`reportedStatus() ${does}`, () => {
    const logged: string[] = [];
    const log = createLogger({ level: "debug", write: (line) => void logged.push((JSON.parse(line) as { level: string }).level) });
    const signal = isGone === true ? AbortSignal.abort() : new AbortController().signal;
    reportedStatus(error, { request: new IncomingMessage(new Socket()), log, signal });
    assert.deepEqual(logged, levels);
  });
}
