/** Replaces `$(NAME)` by its variable; `$$(NAME)` gives `$(NAME)`; a name that `variables` lacks stays as it is written. */
export function expandVariables(_text: string, _variables: Readonly<Record<string, string>>): string {
  throw new Error("Not written yet");
}
