/**
 * What failed invocations come to: a line in the log with the error, and one alarm for each error, not for each time it
 * happens. The same error is the same function, code and line of the app's own code.
 */
import path from 'node:path';
import type { Alarms } from '../../kernel/alarms.ts';
import { lineOutside } from '../../kernel/call-counter.ts';
import { causedBy } from '../../kernel/causes.ts';
import { codeOf, messageOf } from '../../kernel/errors.ts';
import type { InvocationReport } from '../../platform/functions/index.ts';
import { alarmLimits } from '../limits.ts';
import type { LogStore } from '../logs/index.ts';
import { hasFailed } from '../metrics/index.ts';

/** What is taken of a report. */
export type FailedInvocation = Pick<
  InvocationReport,
  | 'requestId'
  | 'functionName'
  | 'trigger'
  | 'outcome'
  | 'error'
  | 'attempt'
  | 'durationMs'
  | 'cause'
  | 'thingName'
  | 'eventId'
>;

export class FailedInvocations {
  readonly #alarms: Alarms;
  readonly #log: Pick<LogStore, 'writeFor'>;
  /** By subject: the last request whose error is in the log. When there are too many a second, not every one is. */
  readonly #logged = new Map<string, string>();

  constructor({ alarms, log }: { alarms: Alarms; log: Pick<LogStore, 'writeFor'> }) {
    this.#alarms = alarms;
    this.#log = log;
  }

  note(report: FailedInvocation): void {
    if (!hasFailed(report)) return;
    const { functionName, thingName, error } = report;
    const code = codeOf(error);
    const place = placeOf(error);
    const subject = this.#subjectOf(functionName, `${code}${place === undefined ? '' : ` at ${place}`}`);
    const isLogged = this.#writeLine(report);
    const requestId = isLogged ? report.requestId : (this.#logged.get(subject) ?? report.requestId);
    this.#logged.set(subject, requestId);
    this.#alarms.raise({
      name: 'functionError',
      subject,
      message: sentence(`${functionName} failed: ${messageOf(error)}`),
      fix: `See \`mimamori logs --request ${requestId}\` for what led to it.`,
      facts: { functionName, code, place, requestId, thingName },
    });
  }

  #writeLine({ functionName, requestId, thingName, eventId, cause, ...report }: FailedInvocation): boolean {
    const { error, trigger, attempt, durationMs } = report;
    const facts = { error, trigger, attempt, durationMs: Math.round(durationMs) };
    const caller = { functionName, requestId, thingName, eventId, cause: causedBy(functionName, cause) };
    return this.#log.writeFor(caller, 'error', facts, 'An invocation failed.');
  }

  /** Errors are few; a code or a place made of what comes from outside is one too many. */
  #subjectOf(functionName: string, error: string): string {
    const subject = `${functionName}: ${error}`;
    const isKnown = this.#logged.has(subject) || this.#logged.size < alarmLimits.errorGroupsMax;
    return isKnown ? subject : `${functionName}: other errors`;
  }
}

function sentence(text: string): string {
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}

function placeOf(error: unknown): string | undefined {
  try {
    const line = error instanceof Error && typeof error.stack === 'string' ? lineOutside(error.stack) : undefined;
    return line && path.relative(process.cwd(), line);
  } catch {
    return undefined; // A stack with an address that is none.
  }
}
