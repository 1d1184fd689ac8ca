/** What a virtual device does with the requests it gets: keeps them for the test, and answers as it was told. */
import { type Clock, delay } from '../../kernel/clock.ts';
import { codeOf, messageOf } from '../../kernel/errors.ts';
import { answerFailed } from '../errors.ts';
import type { Activity } from '../world/activity.ts';
import { type Duration, durationMs } from '../world/durations.ts';

/** A request as it came. */
export interface ReceivedRequest {
  readonly command: string;
  readonly request: Record<string, unknown>;
  /** Unix epoch milliseconds of the app's clock. */
  readonly atMs: number;
}

export interface AnswerOptions {
  /** How long it takes, always or each time. Default: no time. */
  readonly after?: Duration | (() => Duration);
  /** So many requests are not answered before the first that is. */
  readonly ignoring?: number;
}

type Answer = (request: Record<string, unknown>) => unknown;

interface Answering {
  readonly answer: Answer;
  readonly afterMs: () => number;
  ignoring: number;
}

export class CommandAnswers {
  readonly received: ReceivedRequest[] = [];
  readonly #byCommand = new Map<string, Answering>();
  readonly #parts: CommandAnswersParts;

  constructor(parts: CommandAnswersParts) {
    this.#parts = parts;
  }

  /** From now on; in place of what was there before. */
  answerWith(command: string, answer: Answer, { after = 0, ignoring = 0 }: AnswerOptions): void {
    const afterMs = typeof after === 'function' ? () => durationMs(after()) : () => fixedMs;
    const fixedMs = typeof after === 'function' ? 0 : durationMs(after);
    this.#byCommand.set(command, { answer, afterMs, ignoring });
  }

  stopAnswering(command: string): void {
    this.#byCommand.delete(command);
  }

  take(command: string, request: Record<string, unknown>): void {
    this.received.push({ command, request, atMs: this.#parts.clock.nowMs() });
    const answering = this.#byCommand.get(command);
    if (answering === undefined) return;
    if (answering.ignoring > 0) answering.ignoring--;
    else void this.#answer(command, request, answering);
  }

  /** Never rejects: what the test got wrong, it is told when it next moves the clock. */
  async #answer(command: string, request: Record<string, unknown>, { answer, afterMs }: Answering): Promise<void> {
    const { thingName, clock, activity, send, onProblem } = this.#parts;
    try {
      const waitMs = afterMs();
      if (waitMs > 0) await delay(clock, waitMs);
      const work = async () => {
        const response = await answer(request);
        if (response !== undefined) await send(command, String(request.sessionId), response);
      };
      await activity().during(`${thingName} answers ${command}`, work());
    } catch (error) {
      if (codeOf(error) === 'testing.closed') return; // The test is over; nobody waits for the answer.
      onProblem(answerFailed(thingName, command, messageOf(error), error));
    }
  }
}

export interface CommandAnswersParts {
  readonly thingName: string;
  readonly clock: Clock;
  readonly activity: () => Activity;
  /** Content when the device is offline: nobody hears it. */
  readonly send: (command: string, sessionId: string, response: unknown) => Promise<void>;
  readonly onProblem: (problem: Error) => void;
}
