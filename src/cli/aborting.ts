import { abortOnSignal } from './progress.ts';

/** Ends quietly when Ctrl-C has ended the work, as programs do. */
export async function untilStopped(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const signal = abortOnSignal();
  try {
    await work(signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    process.exitCode = 130;
  }
}
