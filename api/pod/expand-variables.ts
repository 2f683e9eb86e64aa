/** Replaces `$(NAME)` by its variable; `$$` stands for a dollar sign, so `$$(NAME)` gives `$(NAME)`; a name that `variables` lacks stays as it is written. */
export function expandVariables(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$\$|\$\(([^)]*)\)/g, (whole: string, name: string | undefined) => {
    if (name === undefined) return "$";
    return Object.hasOwn(variables, name) ? (variables[name] ?? whole) : whole;
  });
}
