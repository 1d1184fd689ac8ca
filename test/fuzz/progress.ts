/** Tells the person who waits how far a run is: a bar on a terminal, now and then a line elsewhere. */
export interface Progress {
  readonly what: string;
  readonly done: number;
  readonly total: number;
  readonly perSecond: number;
}

const barCharacters = 30;
const lineEveryMs = 5_000; // ours: where it goes to a log, which should stay short

export class ProgressReport {
  readonly #out: NodeJS.WriteStream;
  #lastLineMs = Number.NEGATIVE_INFINITY;
  #barIsDrawn = false;

  constructor(out: NodeJS.WriteStream = process.stderr) {
    this.#out = out;
  }

  show(progress: Progress, nowMs: number): void {
    if (this.#out.isTTY) {
      this.#out.write(`\r\x1b[2K${barOf(progress)}`);
      this.#barIsDrawn = true;
    } else if (nowMs - this.#lastLineMs >= lineEveryMs) {
      this.#lastLineMs = nowMs;
      this.#out.write(`${textOf(progress)}\n`);
    }
  }

  /** Makes room for what is said next. */
  clear(): void {
    if (this.#barIsDrawn) this.#out.write('\r\x1b[2K');
    this.#barIsDrawn = false;
  }
}

function barOf(progress: Progress): string {
  const full = Math.round((barCharacters * progress.done) / Math.max(progress.total, 1));
  return `[${'#'.repeat(full)}${'.'.repeat(barCharacters - full)}] ${textOf(progress)}`;
}

function textOf({ what, done, total, perSecond }: Progress): string {
  const share = Math.floor((100 * done) / Math.max(total, 1));
  const rate = `${Math.round(perSecond).toLocaleString('en')}/s`;
  return `${what} ${done.toLocaleString('en')} of ${total.toLocaleString('en')} (${share} %, ${rate})`;
}
