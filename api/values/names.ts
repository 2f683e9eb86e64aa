/** The rules for names, each a function from a text to what is wrong with it, in upstream's words. */
export type NameRule = (text: string) => string[];

const labelPattern = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const subdomainPattern = `${labelPattern}(\\.${labelPattern})*`;
const qualifiedPattern = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const labelValuePattern = `(${qualifiedPattern})?`;
const configKeyPattern = "[-._a-zA-Z0-9]+";

const LONGEST_LABEL = 63;
const LONGEST_SUBDOMAIN = 253;
const LONGEST_PORT_NAME = 15;
const LARGEST_PORT = 65_535;

/** A lowercase RFC 1123 label: a namespace, a container, a volume. */
export const labelName: NameRule = (text) => [
  ...atMost(text, LONGEST_LABEL),
  ...matching(
    text,
    labelPattern,
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
    ["my-name", "123-abc"],
  ),
];

/** A lowercase RFC 1123 subdomain: most objects. */
export const subdomainName: NameRule = (text) => [
  ...atMost(text, LONGEST_SUBDOMAIN),
  ...matching(
    text,
    subdomainPattern,
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
    ["example.com"],
  ),
];

/** A name with an optional prefix: the key of a label, an annotation, a finalizer. */
export const qualifiedName: NameRule = (text) => {
  const parts = text.split("/");
  const [prefix, name] = parts.length === 2 ? [parts[0] ?? "", parts[1] ?? ""] : [undefined, text];
  const say = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
  const examples = ["MyName", "my.name", "123-abc"];
  if (parts.length > 2) {
    const all = withExamples(`a qualified name ${say}`, examples, qualifiedPattern);
    return [`${all} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  }
  const errors: string[] = [];
  if (prefix === "") errors.push("prefix part must be non-empty");
  else if (prefix !== undefined) errors.push(...subdomainName(prefix).map((why) => `prefix part ${why}`));
  if (name === "") errors.push("name part must be non-empty");
  errors.push(...atMost(name, LONGEST_LABEL).map((why) => `name part ${why}`));
  errors.push(...matching(name, qualifiedPattern, `name part ${say}`, examples));
  return errors;
};

/** The value of a label. */
export const labelValue: NameRule = (text) => [
  ...atMost(text, LONGEST_LABEL),
  ...matching(
    text,
    labelValuePattern,
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    ["MyValue", "my_value", "12345"],
  ),
];

/** A key of a ConfigMap or a Secret: it becomes a file's name. */
export const configKey: NameRule = (text) => {
  const errors = [
    ...atMost(text, LONGEST_SUBDOMAIN),
    ...matching(text, configKeyPattern, "a valid config key must consist of alphanumeric characters, '-', '_' or '.'", [
      "key.name",
      "KEY_NAME",
      "key-name",
    ]),
  ];
  if (text === ".") errors.push("must not be '.'");
  else if (text === "..") errors.push("must not be '..'");
  else if (text.startsWith("..")) errors.push("must not start with '..'");
  return errors;
};

/** The name of an environment variable: any printable ASCII but `=`. */
export const variableName: NameRule = (text) =>
  /^[ -<>-~]+$/.test(text) ? [] : ["a valid environment variable name must consist only of printable ASCII characters other than '='"];

/** The name of a port. */
export const portName: NameRule = (text) => {
  const errors: string[] = [];
  if (text.length > LONGEST_PORT_NAME) errors.push(`must be no more than ${LONGEST_PORT_NAME} bytes`);
  if (!/^[-a-z0-9]+$/.test(text)) errors.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  if (!/[a-z]/.test(text)) errors.push("must contain at least one letter (a-z)");
  if (text.includes("--")) errors.push("must not contain consecutive hyphens");
  if (text.startsWith("-") || text.endsWith("-")) errors.push("must not begin or end with a hyphen");
  return errors;
};

/** The number of a port. */
export function portNumber(port: number): string[] {
  return port >= 1 && port <= LARGEST_PORT ? [] : [`must be between 1 and ${LARGEST_PORT}, inclusive`];
}

/** An IPv4 or IPv6 address in its usual form. */
export const ipAddress: NameRule = (text) =>
  isIPv4(text) || isIPv6(text) ? [] : ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"];

function isIPv4(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

function isIPv6(text: string): boolean {
  if (!/^[0-9A-Fa-f:.]+$/.test(text)) return false;
  const halves = text.split("::");
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === "" ? [] : half.split(":")));
  const last = groups.at(-1) ?? "";
  const hasIPv4 = last.includes(".");
  const count = groups.length + (hasIPv4 ? 1 : 0);
  const plain = hasIPv4 ? groups.slice(0, -1) : groups;
  if ((hasIPv4 && !isIPv4(last)) || !plain.every((group) => /^[0-9A-Fa-f]{1,4}$/.test(group))) return false;
  return halves.length === 2 ? count < 8 : count === 8;
}

function atMost(text: string, limit: number): string[] {
  return text.length > limit ? [`must be no more than ${limit} bytes`] : [];
}

function matching(text: string, pattern: string, say: string, examples: readonly string[]): string[] {
  return new RegExp(`^(?:${pattern})$`).test(text) ? [] : [withExamples(say, examples, pattern)];
}

function withExamples(say: string, examples: readonly string[], pattern: string): string {
  const list = examples.map((example) => `'${example}'`).join(",  or ");
  return `${say} (e.g. ${list}, regex used for validation is '${pattern}')`;
}
