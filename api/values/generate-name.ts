const ALPHABET = "bcdfghjklmnpqrstvwxz2456789"; // no vowels, nothing that looks like something else
const SUFFIX_LENGTH = 5;
const LONGEST_PREFIX = 63 - SUFFIX_LENGTH;

/** A name from `metadata.generateName`: the prefix, cut so that all fits 63 characters, and five random ones. */
export function nameFromPrefix(prefix: string, random: () => number = Math.random): string {
  let suffix = "";
  while (suffix.length < SUFFIX_LENGTH) suffix += ALPHABET[Math.floor(random() * ALPHABET.length)] ?? "";
  return prefix.slice(0, LONGEST_PREFIX) + suffix;
}
