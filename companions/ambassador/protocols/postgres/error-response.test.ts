import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AmbassadorError, errorCodes } from "../../errors.ts";
import { errorResponse, parseSqlState, refusalError } from "./error-response.ts";
import { formatMessage } from "./messages.ts";

/** The fields of an ErrorResponse, by their type. */
function fieldsOf(message: Buffer): Record<string, string> {
  assert.equal(message.toString("latin1", 0, 1), "E");
  assert.equal(message.readUInt32BE(1), message.length - 1);
  assert.equal(message.toString("latin1", message.length - 2), "\0\0");
  const fields = message.toString("utf8", 5, message.length - 2).split("\0");
  return Object.fromEntries(fields.map((field) => [field.slice(0, 1), field.slice(1)]));
}

const refusal = (sqlState: string): Buffer => Buffer.from(`SFATAL\0VFATAL\0C${sqlState}\0Mno entry for "real-user"\0\0`);

for (const code of errorCodes)
  test(`errorResponse() tells ${code} with severity, SQLSTATE and reason`, () => {
    const { S, V, C, M } = fieldsOf(errorResponse(new AmbassadorError(code, "Why \0 it is so")));
    assert.deepEqual([S, V, M], ["FATAL", "FATAL", "Why  it is so"]);
    assert.match(C ?? "", /^[0-9A-Z]{5}$/);
  });

const codes: [sqlState: string, code: string][] = [
  ["28P01", "LOGIN_REFUSED"],
  ["28000", "LOGIN_REFUSED"],
  ["3D000", "LOGIN_REFUSED"],
  ["42501", "LOGIN_REFUSED"],
  ["08P01", "LOGIN_REFUSED"], // PgBouncer's, of an unknown startup parameter
  ["0A000", "LOGIN_REFUSED"],
  ["22023", "LOGIN_REFUSED"],
  ["42704", "LOGIN_REFUSED"],
  ["55000", "LOGIN_REFUSED"],
  ["57P04", "LOGIN_REFUSED"], // the database was dropped
  ["08006", "UPSTREAM_BUSY"],
  ["53300", "UPSTREAM_BUSY"],
  ["57P01", "UPSTREAM_BUSY"],
  ["57P03", "UPSTREAM_BUSY"],
];
for (const [sqlState, code] of codes)
  test(`refusalError() takes ${sqlState} for ${code}, and errorResponse() tells it on`, () => {
    const raw = formatMessage("E", refusal(sqlState));
    const error = refusalError("db:5432", raw, refusal(sqlState));
    assert.equal(error.code, code);
    const told = fieldsOf(errorResponse(error));
    assert.equal(told["C"], sqlState);
    const isSecret = sqlState.startsWith("28");
    assert.equal(told["M"]?.includes("real-user"), !isSecret);
    assert.doesNotMatch(error.message, /real-user/);
  });

test("errorResponse() says nothing of an error that nobody expected", () => {
  const { C, M } = fieldsOf(errorResponse(new TypeError("password is secret")));
  assert.deepEqual([C, M], ["XX000", "The ambassador failed"]);
});

test("parseSqlState() gives a state for any bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      assert.match(parseSqlState(Buffer.from(bytes)), /^[0-9A-Z]{5}$/);
    }),
  );
  const whole = refusal("3D000");
  for (let length = 0; length <= whole.length; length += 1)
    assert.ok(["3D000", "XX000"].includes(parseSqlState(whole.subarray(0, length))), `cut at ${length}`);
});
