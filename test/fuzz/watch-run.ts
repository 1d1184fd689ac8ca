import { Worker } from 'node:worker_threads';
import { messageOf } from '../../src/kernel/errors.ts';
import { type Finding, replayOf } from './finding.ts';
import { packetCaseOf } from './packets.ts';
import type { ProgressReport } from './progress.ts';
import type { RunOrder, RunResult } from './run.ts';
import { SharedState } from './shared-state.ts';

const watchLimits = {
  lookEveryMs: 200,
  silentMs: 60_000, // one case takes microseconds or milliseconds; a thorough world some seconds
  stopMs: 30_000, // from Ctrl-C to the end of the case that is running, on a machine that has much else to do
  heapMebibytesMax: 768, // ours: beyond it the thread is ended, and that is a finding
} as const;

export interface WatchedRun {
  readonly result: RunResult;
  /** By the person who waits. */
  readonly wasStopped: boolean;
}

export interface WatchOptions {
  readonly progress: ProgressReport;
  /** Ctrl-C. */
  readonly stop: AbortSignal;
  /** For tests: what fuzzes, and after how long without a case it is taken for hanging. */
  readonly worker?: URL;
  readonly silentMs?: number;
}

/**
 * Runs the order in a thread of its own. A case that never ends, or that takes the thread with it, is a finding like
 * any other: its index is known from outside.
 */
export async function watchRun(order: RunOrder, options: WatchOptions): Promise<WatchedRun> {
  const { progress, stop, silentMs = watchLimits.silentMs } = options;
  const state = new SharedState();
  const worker = new Worker(options.worker ?? new URL('worker.ts', import.meta.url), {
    workerData: { order, buffer: state.buffer },
    resourceLimits: { maxOldGenerationSizeMb: watchLimits.heapMebibytesMax },
    execArgv: ['--disable-warning=ExperimentalWarning'], // v8.queryObjects, which only tests use
  });
  const end = Promise.withResolvers<RunResult>();
  const fail = (oracle: string, message: string) => {
    end.resolve({ packets: undefined, sessions: undefined, findings: [lastCase(order, state, oracle, message)] });
    void worker.terminate();
  };
  worker.once('message', end.resolve);
  worker.once('error', error => fail('no case takes the thread with it', messageOf(error)));
  const onStop = () => state.stop();
  stop.addEventListener('abort', onStop);
  const looking = setInterval(lookAt(order, { state, progress, stop, silentMs, fail }), watchLimits.lookEveryMs);
  try {
    return { result: await end.promise, wasStopped: stop.aborted };
  } finally {
    clearInterval(looking);
    stop.removeEventListener('abort', onStop);
    progress.clear();
    await worker.terminate();
  }
}

interface Watched {
  readonly state: SharedState;
  readonly progress: ProgressReport;
  readonly stop: AbortSignal;
  readonly silentMs: number;
  readonly fail: (oracle: string, message: string) => void;
}

/** Shows the progress, and notices when there is none. */
function lookAt(order: RunOrder, { state, progress, stop, silentMs, fail }: Watched): () => void {
  let campaign = 'packets';
  let sinceMs = performance.now();
  let beats = -1;
  let beatMs = sinceMs;
  return () => {
    const nowMs = performance.now();
    const now = state.read();
    if (now.campaign !== campaign) {
      campaign = now.campaign;
      sinceMs = nowMs;
    }
    if (now.beats !== beats) {
      beats = now.beats;
      beatMs = nowMs;
    }
    const patienceMs = stop.aborted ? watchLimits.stopMs : silentMs;
    if (nowMs - beatMs > patienceMs) fail('every case comes to its end', `nothing happened for ${patienceMs} ms`);
    const perSecond = now.done / Math.max((nowMs - sinceMs) / 1_000, 0.001);
    progress.show({ what: now.campaign, done: now.done, total: order[now.campaign].count, perSecond }, nowMs);
  };
}

/** The case that was running, of which nothing but its index is known. */
function lastCase({ seed }: RunOrder, state: SharedState, oracle: string, message: string): Finding {
  const { campaign, index } = state.read();
  const packet = campaign === 'packets' ? packetCaseOf(seed, index) : undefined;
  return { campaign, seed, index, oracle, message, replay: replayOf(campaign, seed, index), ...(packet && { packet }) };
}
