/** Standard output that may be long, or end early: `mimamori logs | head` is no failure. */
import { once } from 'node:events';

/** Resolves when there is room for more. */
export async function print(text: string): Promise<void> {
  if (!process.stdout.write(`${text}\n`)) await once(process.stdout, 'drain');
}

/** Whoever reads has enough: so have we. */
export function endWithReader(): void {
  process.stdout.on('error', error => {
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') process.exit(0); // Node types stream errors as Error.
    throw error;
  });
}

/** Colours are for people, unless they have said that they are not [no-color.org]. */
export function hasColors(): boolean {
  return process.stdout.isTTY === true && (process.env.NO_COLOR ?? '') === '';
}
