import type { Announcement } from '../app/index.ts';
import { httpLimits } from './limits.ts';

interface Watcher {
  readonly audience: string;
  readonly events: Announcement[];
  leftOut: number;
  wake: () => void;
}

/** Live announcements to open pages. Each watcher has a bounded buffer; what does not fit is counted, never waited for. */
export class Feed {
  readonly #watchers = new Set<Watcher>();

  announce(audience: string, announcement: Announcement): void {
    for (const watcher of this.#watchers) {
      if (watcher.audience !== audience) continue;
      if (watcher.events.length < httpLimits.watcherBufferedEventsMax) watcher.events.push(announcement);
      else watcher.leftOut++;
      watcher.wake();
    }
  }

  get isFull(): boolean {
    return this.#watchers.size >= httpLimits.watchersMax;
  }

  /** What is announced to `audience` from now on, until `signal` aborts. */
  async *watch(audience: string, signal: AbortSignal): AsyncGenerator<Announcement> {
    let wake: () => void = () => {};
    const watcher: Watcher = { audience, events: [], leftOut: 0, wake: () => wake() };
    this.#watchers.add(watcher);
    signal.addEventListener('abort', () => wake(), { once: true });
    try {
      while (!signal.aborted) {
        yield* watcher.events.splice(0);
        if (watcher.leftOut > 0) {
          yield { type: 'leftOut', count: watcher.leftOut };
          watcher.leftOut = 0;
        }
        if (watcher.events.length > 0 || signal.aborted) continue;
        await new Promise<void>(resolve => {
          wake = resolve;
        });
      }
    } finally {
      this.#watchers.delete(watcher);
    }
  }
}
