/**
 * Resolves in the event loop's next turn. Work that goes on by promises alone holds everything else up until it is done, however many steps it
 * has: whoever does the same thing for one after the other gives way between two.
 */
export async function giveWay(): Promise<void> {
  await new Promise<void>((resolve) => void setImmediate(resolve));
}
