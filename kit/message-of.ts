/** What an error says, in one line without a stack; anything else that was thrown, as text. */
export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
