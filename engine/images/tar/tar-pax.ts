import { TarError } from "./tar-error.ts";

/** Reads the records of an extended header, `LENGTH KEY=VALUE\n`, in their order. Values are latin1: a character for each byte. */
export function parsePax(bytes: Uint8Array): [key: string, value: string][] {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: [string, string][] = [];
  for (let start = 0; start < whole.length && whole[start] !== 0;) {
    const space = whole.indexOf(0x20, start);
    const digits = space < 0 || space - start > 9 ? "" : whole.toString("latin1", start, space);
    const end = start + Number(digits);
    const equals = whole.indexOf(0x3d, space);
    if (!/^[0-9]{1,9}$/.test(digits) || end > whole.length || whole[end - 1] !== 0x0a || equals < 0 || equals >= end) {
      throw new TarError("It has a malformed extended header");
    }
    records.push([whole.toString("latin1", space + 1, equals), whole.toString("latin1", equals + 1, end - 1)]);
    start = end;
  }
  return records;
}
