import {
  type FieldWriter,
  flag,
  lengthDelimited,
  type MessageFields,
  messageContent,
  named,
  repeated,
  text,
  wrapped,
} from "../encodings/protobuf-writer.ts";

/**
 * An OpenAPI v2 document as the protobuf message that kubectl asks for, and reads nothing else instead. The numbers are those of
 * https://github.com/google/gnostic-models/blob/main/openapiv2/OpenAPIv2.proto; what the engine's document never has is not here.
 */
export function openApiProtobuf(document: object): Buffer {
  return messageContent(documentFields, document);
}

/** Any value at all goes as YAML, and JSON is YAML. */
const any: FieldWriter = (number, value) => lengthDelimited(number, text(2, JSON.stringify(value)));

/** A message with the vendor's extensions, which are one field together. */
function extensible(fields: MessageFields, extensionsNumber: number): FieldWriter {
  return (number, value) => {
    const extensions = Object.fromEntries(Object.entries(value as object).filter(([name]) => name.startsWith("x-"))); // only objects are put there
    return lengthDelimited(number, Buffer.concat([messageContent(fields, value), named(any)(extensionsNumber, extensions)]));
  };
}

function schema(number: number, value: unknown): Buffer {
  return schemaMessage(number, value); // a function, because schemas are in schemas
}

const schemaMessage = extensible(
  {
    $ref: { number: 1, write: text },
    format: { number: 2, write: text },
    description: { number: 4, write: text },
    default: { number: 5, write: any },
    required: { number: 19, write: repeated(text) },
    enum: { number: 20, write: repeated(any) },
    additionalProperties: { number: 21, write: wrapped(schema) },
    type: { number: 22, write: wrapped(text) },
    items: { number: 23, write: wrapped(schema) },
    properties: { number: 25, write: wrapped(named(schema)) },
  },
  31,
);

const described = {
  required: { number: 1, write: flag },
  in: { number: 2, write: text },
  description: { number: 3, write: text },
  name: { number: 4, write: text },
};
const queryParameter = extensible({ ...described, type: { number: 6, write: text }, uniqueItems: { number: 20, write: flag } }, 23);
const pathParameter = extensible({ ...described, type: { number: 5, write: text }, uniqueItems: { number: 19, write: flag } }, 22);
const bodyParameter = extensible(
  {
    description: { number: 1, write: text },
    name: { number: 2, write: text },
    in: { number: 3, write: text },
    required: { number: 4, write: flag },
    schema: { number: 5, write: schema },
  },
  6,
);

const writeParameter: Readonly<Record<string, FieldWriter>> = {
  body: (number, value) => lengthDelimited(number, bodyParameter(1, value)),
  query: (number, value) => lengthDelimited(number, wrapped(queryParameter, 3)(2, value)),
  path: (number, value) => lengthDelimited(number, wrapped(pathParameter, 4)(2, value)),
};

const parameter: FieldWriter = (number, value) => {
  const place = (value as { in: string }).in; // only parameters are put there
  const write = writeParameter[place];
  if (write === undefined) throw new Error(`There is no protobuf for a parameter in "${place}"`);
  return write(number, value);
};

const parameters = { number: 8, write: repeated(wrapped(parameter)) };
const response = extensible({ description: { number: 1, write: text }, schema: { number: 2, write: wrapped(schema) } }, 5);
const operation = extensible(
  {
    operationId: { number: 5, write: text },
    produces: { number: 6, write: repeated(text) },
    consumes: { number: 7, write: repeated(text) },
    parameters,
    responses: { number: 9, write: wrapped(named(wrapped(response))) },
  },
  13,
);
const pathItem = extensible(
  {
    get: { number: 2, write: operation },
    put: { number: 3, write: operation },
    post: { number: 4, write: operation },
    delete: { number: 5, write: operation },
    patch: { number: 8, write: operation },
    parameters: { ...parameters, number: 9 },
  },
  10,
);
const info = extensible({ title: { number: 1, write: text }, version: { number: 2, write: text } }, 7);

const documentFields: MessageFields = {
  swagger: { number: 1, write: text },
  info: { number: 2, write: info },
  paths: { number: 8, write: wrapped(named(pathItem), 2) },
  definitions: { number: 9, write: wrapped(named(schema)) },
};
