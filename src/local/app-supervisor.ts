import { Worker } from 'node:worker_threads';
import type { Announcement } from '../app/index.ts';
import type { Iot } from '../iot/port.ts';
import type { ReceivedCounts } from '../iot/rules/index.ts';
import type { Alarm } from '../kernel/alarms.ts';
import type { Clock, Timer } from '../kernel/clock.ts';
import type { Counters } from '../kernel/counters.ts';
import { MimamoriError } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import type { AlarmMessage, AlarmState } from '../ops/index.ts';
import { answerIotCall } from './iot-bridge.ts';
import type { AppAddresses, AppThreadData, LoadedApp, SuspectRange, ToApp, ToGateway } from './messages.ts';
import type { GatewayView } from './shared-state.ts';
import { type InFlight, nextSuspects } from './suspects.ts';

export interface SupervisorOptions {
  readonly threadData: Omit<AppThreadData, 'suspects'>;
  readonly view: GatewayView;
  readonly clock: Clock;
  readonly log: Log;
  readonly counters: Counters;
  /** Called once per thread before it may start; resolves with what it may call. */
  readonly onLoaded: (app: LoadedApp) => Promise<Iot>;
  readonly onAnnounced: (audience: string, announcement: Announcement) => void;
  /** The app thread wants to be told what was received, now. */
  readonly onReceivedAsked: () => void;
  readonly listAlarms: () => readonly AlarmState[];
  /** The app thread raises or clears an alarm. */
  readonly onAlarm: (message: AlarmMessage) => void;
  /** An app thread that does not answer for this long is ended. */
  readonly hangMs?: number;
  /** A leak in the app ends its thread at this heap, not the gateway. */
  readonly heapMegabytesMax?: number;
}

const supervisorLimits = {
  hangMsDefault: 5_000, // ours: beyond the 3 s a function may take by default
  checkMs: 200,
  loadMs: 30_000, // ours: an app's module that takes longer waits for something that does not come
  restartDelayMsMax: 5_000,
  steadyMs: 10_000, // ours: up this long, and the next restart is at once again
  stopMs: 5_000,
  heapMegabytesMaxDefault: 1_024, // ours
  youngMegabytesMax: 192, // ours: a batch of thousands dies young instead of being copied about
} as const;

/**
 * Keeps an app thread running. One that hangs, crashes or runs out of memory is ended and started again; the records
 * it was working on then run one at a time, so that the one that does it is found and set aside.
 */
export class AppSupervisor {
  readonly #options: SupervisorOptions;
  #worker: Worker | undefined;
  #iot: Iot | undefined;
  #consumers: readonly string[] = [];
  #suspects: ReadonlyMap<string, SuspectRange> = new Map();
  /** Those of the first thread: a restarted app comes back on the same. */
  #addresses: AppAddresses | undefined;
  #watch: Timer | undefined;
  #loading: Timer | undefined;
  #failures = 0;
  #readyAtMs = Number.POSITIVE_INFINITY;
  /** Before, LMDB may be loading, and a thread ended inside of that takes the process with it. */
  #opened = false;
  #stopping = false;
  #whenReady: { resolve: (addresses: AppAddresses) => void; reject: (error: Error) => void } | undefined;
  #whenStopped: (() => void) | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** Resolves once the app serves; rejects when its first start fails. */
  start(): Promise<AppAddresses> {
    return new Promise((resolve, reject) => {
      this.#whenReady = { resolve, reject };
      this.#launch();
    });
  }

  /** The stream has moved and a reader waits for it. */
  streamMoved(): void {
    this.#post({ type: 'moved' });
  }

  /** What the gateway has counted; lost when no app runs, which then counts it from the log. */
  tellReceived(received: ReceivedCounts): void {
    this.#post({ type: 'received', received });
  }

  /** Lets the app finish what it has in hand, for a while; then ends its thread. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#watch?.cancel();
    this.#loading?.cancel();
    if (!this.#worker) return;
    const stopped = new Promise<void>(resolve => {
      this.#whenStopped = resolve;
    });
    const timer = this.#options.clock.setTimer(supervisorLimits.stopMs, () => this.#whenStopped?.());
    this.#post({ type: 'stop' });
    await stopped;
    timer.cancel();
    await this.#worker?.terminate();
  }

  #launch(): void {
    const { threadData, view, heapMegabytesMax = supervisorLimits.heapMegabytesMaxDefault } = this.#options;
    view.clearMarks();
    this.#opened = false;
    this.#loading?.cancel();
    this.#loading = this.#options.clock.setTimer(supervisorLimits.loadMs, () => this.#loadsTooLong());
    const worker = new Worker(moduleBeside('app-thread'), {
      workerData: { ...at(threadData, this.#addresses), suspects: this.#suspects },
      resourceLimits: {
        maxOldGenerationSizeMb: heapMegabytesMax,
        maxYoungGenerationSizeMb: supervisorLimits.youngMegabytesMax,
      },
    });
    this.#worker = worker;
    let reason = 'it ended by itself';
    worker.on('message', (message: ToGateway) => this.#receive(message, answer => worker.postMessage(answer)));
    worker.on('error', error => {
      reason = error.message;
    });
    worker.on('exit', () => {
      if (this.#worker === worker) this.#ended(reason);
    });
  }

  /** `answer` goes to the thread that sent the message, even when another has taken its place meanwhile. */
  #receive(message: ToGateway, answer: (message: ToApp) => void): void {
    switch (message.type) {
      case 'loaded':
        this.#consumers = message.consumers;
        this.#options.onLoaded(message).then(
          iot => {
            this.#iot = iot;
            answer({ type: 'start' });
          },
          error => this.#giveUp(error),
        );
        return;
      case 'opened':
        this.#opened = true;
        this.#loading?.cancel();
        this.#watchHeartbeat();
        return;
      case 'ready':
        this.#addresses = message;
        this.#readyAtMs = this.#options.clock.monotonicMs();
        this.#whenReady?.resolve(message);
        this.#whenReady = undefined;
        return;
      case 'iotCall':
        if (this.#iot) void answerIotCall(this.#iot, message, answer);
        return;
      case 'receivedAsked':
        return this.#options.onReceivedAsked();
      case 'alarmsAsked':
        return answer({ type: 'alarms', alarms: this.#options.listAlarms() });
      case 'alarm':
        return this.#options.onAlarm(message.message);
      case 'announced':
        return this.#options.onAnnounced(message.audience, message.announcement);
      case 'stopped':
        return this.#whenStopped?.();
      case 'failed':
        return this.#failed(new MimamoriError(message.error));
    }
  }

  #post(message: ToApp): void {
    this.#worker?.postMessage(message);
  }

  /** Counts checks, not time: a pause of the whole process is not the app's fault. */
  #watchHeartbeat(): void {
    const { view, clock, hangMs = supervisorLimits.hangMsDefault } = this.#options;
    let seen = view.heartbeat();
    let silentMs = 0;
    const check = () => {
      const now = view.heartbeat();
      silentMs = now === seen ? silentMs + supervisorLimits.checkMs : 0;
      seen = now;
      if (silentMs < hangMs) {
        this.#watch = clock.setTimer(supervisorLimits.checkMs, check);
        return;
      }
      this.#options.counters.add('app.hangs');
      this.#end(`it did not answer for ${silentMs} ms`);
    };
    this.#watch?.cancel();
    this.#watch = clock.setTimer(supervisorLimits.checkMs, check);
  }

  /** A thread that is still loading cannot be ended safely; whoever started us must hear of it, or the log. */
  #loadsTooLong(): void {
    const reason = `it has not finished loading after ${supervisorLimits.loadMs / 1_000} s`;
    this.#options.log.error({ reason }, 'The app does not start.');
    this.#whenReady?.reject(appDidNotStart(reason));
    this.#whenReady = undefined;
  }

  #failed(error: MimamoriError): void {
    if (this.#whenReady) return this.#giveUp(error); // E.g. a port in use: it would fail again.
    this.#end(error.message);
  }

  /** The very first start has failed: whoever starts the backend must hear of it. */
  #giveUp(error: Error): void {
    this.#stopping = true;
    this.#whenReady?.reject(error);
    this.#whenReady = undefined;
    this.#loading?.cancel();
    void this.#worker?.terminate();
  }

  #end(reason: string): void {
    const worker = this.#worker;
    if (!worker) return;
    this.#worker = undefined; // From here on its messages and its exit are history.
    worker.removeAllListeners('message');
    void worker.terminate().then(() => this.#ended(reason));
  }

  #ended(reason: string): void {
    this.#watch?.cancel();
    this.#worker = undefined;
    this.#whenStopped?.();
    if (this.#stopping) return;
    if (this.#whenReady && !this.#opened) return this.#giveUp(appDidNotStart(reason));
    const { log, counters, clock } = this.#options;
    this.#suspects = nextSuspects(this.#suspects, this.#inFlight());
    counters.add('app.restarts');
    log.error({ reason, suspects: [...this.#suspects.keys()] }, 'The app thread is started again.');
    this.#options.onAlarm({ action: 'raise', alarm: appRestarted(reason, [...this.#suspects.keys()]), times: 1 });
    const steady = clock.monotonicMs() - this.#readyAtMs > supervisorLimits.steadyMs;
    this.#failures = steady ? 0 : this.#failures + 1;
    this.#readyAtMs = Number.POSITIVE_INFINITY;
    const delayMs = Math.min(50 * 2 ** this.#failures, supervisorLimits.restartDelayMsMax);
    clock.setTimer(delayMs, () => {
      if (!this.#stopping) this.#launch();
    });
  }

  #inFlight(): InFlight[] {
    return this.#consumers.flatMap((consumer, index) => {
      const marked = this.#options.view.inFlight(index);
      return marked ? [{ consumer, ...marked }] : [];
    });
  }
}

function at(
  data: SupervisorOptions['threadData'],
  addresses: AppAddresses | undefined,
): SupervisorOptions['threadData'] {
  if (addresses === undefined) return data;
  const { httpPort, dynamoDbUrl } = addresses;
  if (data.dynamoDb === undefined || dynamoDbUrl === undefined) return { ...data, httpPort };
  const port = Number(new URL(dynamoDbUrl).port);
  return { ...data, httpPort, dynamoDb: { ...data.dynamoDb, port } };
}

/** A module of this folder, as it runs here: from source or compiled. */
export function moduleBeside(name: string): URL {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  return new URL(`./${name}${extension}`, import.meta.url);
}

const appRestarted = (reason: string, suspects: readonly string[]): Alarm => ({
  name: 'appRestarted',
  subject: 'app',
  message: `The app thread was started again: ${reason}.`,
  fix: 'See `mimamori logs --since 10m` for what ran before: a function that hangs, leaks or exits.',
  facts: { reason, suspects },
});

const appDidNotStart = (reason: string) =>
  new MimamoriError({
    code: 'app.didNotStart',
    message: `The app thread ended before it was ready: ${reason}.`,
    fix: 'See the lines above; correct the app and start again.',
  });
