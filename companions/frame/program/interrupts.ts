/** Signals of the process as abort signals: the first SIGTERM or SIGINT aborts `stop`, the second `hurry`. */
export function interrupts(): { readonly stop: AbortSignal; readonly hurry: AbortSignal } {
  const stop = new AbortController();
  const hurry = new AbortController();
  const onSignal = (): void => (stop.signal.aborted ? hurry : stop).abort();
  for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, onSignal);
  return { stop: stop.signal, hurry: hurry.signal };
}
