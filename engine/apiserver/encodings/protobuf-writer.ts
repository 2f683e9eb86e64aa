/** Writes a value as the field of this number. Give it only values of the form it is for: it checks nothing. */
export type FieldWriter = (number: number, value: unknown) => Buffer;

/** The fields of a message, by the names that they have in JSON. */
export type MessageFields = Readonly<Record<string, { readonly number: number; readonly write: FieldWriter }>>;

/** A string. */
export const text: FieldWriter = (number, value) => lengthDelimited(number, Buffer.from(String(value)));

/** A bool. */
export const flag: FieldWriter = (number, value) => Buffer.concat([varint(number * 8), varint(value === true ? 1 : 0)]);

/** A repeated field, from an array. */
export function repeated(each: FieldWriter): FieldWriter {
  return (number, value) => Buffer.concat((value as readonly unknown[]).map((item) => each(number, item))); // what it is for
}

/** A message that holds the value in one field of its own. */
export function wrapped(inner: FieldWriter, innerNumber = 1): FieldWriter {
  return (number, value) => lengthDelimited(number, inner(innerNumber, value));
}

/** A repeated message of a name and a value, from an object. */
export function named(each: FieldWriter): FieldWriter {
  return (number, value) =>
    Buffer.concat(
      Object.entries(value as object).map(([name, item]) => lengthDelimited(number, Buffer.concat([text(1, name), each(2, item)]))), // what it is for
    );
}

/** The content of a message, from an object. Members that `fields` does not have are left out. */
export function messageContent(fields: MessageFields, value: unknown): Buffer {
  const pieces: Buffer[] = [];
  for (const [name, member] of Object.entries(value as object)) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (field !== undefined && member !== undefined) pieces.push(field.write(field.number, member));
  }
  return Buffer.concat(pieces);
}

/** A field of bytes: what strings and messages are on the wire. See https://protobuf.dev/programming-guides/encoding/ */
export function lengthDelimited(number: number, content: Buffer): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(content.length), content]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) + 0x80);
  return Buffer.from([...bytes, rest]);
}
