/** The base64 of a text's UTF-8 bytes. */
export function encodeBase64(text: string): string {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""));
}

/** The bytes behind base64, or undefined where it is none. */
export function decodeBase64(text: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return undefined; // the one thing atob throws for
  }
}

/** How many bytes base64 stands for. */
export function base64Length(text: string): number {
  const plain = text.replaceAll(/[\r\n]/g, "");
  return Math.max(0, (plain.length / 4) * 3 - (plain.endsWith("==") ? 2 : plain.endsWith("=") ? 1 : 0));
}
