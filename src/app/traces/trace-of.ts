/** An invocation's report as what is remembered of it: in words, so that nothing large is held on to. */
import type { InvocationEffects } from '../../kernel/call-counter.ts';
import { codeOf, messageOf } from '../../kernel/errors.ts';
import type { InvocationReport } from '../../platform/functions/index.ts';
import { traceLimits } from './limits.ts';
import type { Trace } from './port.ts';

/** Undefined: it did not run for records of a stream. */
export function traceOf(report: InvocationReport): Trace | undefined {
  const { functionName, requestId, outcome, attempt, startedAtMs: atMs, durationMs, error, effects } = report;
  const range = rangeOf(report);
  if (range === undefined) return undefined;
  return {
    functionName,
    requestId,
    ...range,
    outcome,
    attempt,
    atMs,
    durationMs: Math.round(durationMs * 100) / 100,
    ...(outcome !== 'succeeded' && { error: { code: codeOf(error), message: shortened(messageOf(error)) } }),
    ...(effects && {
      made: effects.counts,
      effects: effects.first.flatMap(effectTexts).slice(0, traceLimits.effectsShown),
    }),
  };
}

function rangeOf({
  records,
  eventId,
}: InvocationReport): Pick<Trace, 'shardId' | 'first' | 'last' | 'count'> | undefined {
  if (records !== undefined) {
    const { shardId, first, last, count } = records;
    return { shardId, first: String(first), last: String(last), count };
  }
  const [, shardId, number] = /^(shardId-\d{12}):(\d+)$/.exec(eventId ?? '') ?? [];
  return shardId === undefined ? undefined : { shardId, first: number, last: number, count: 1 };
}

function effectTexts({ kind, of }: InvocationEffects['first'][number]): string[] {
  if (kind !== 'write') return [shortened(`${kind} ${of}`)];
  return writtenItems(of).map(item => shortened(`write ${item}`));
}

interface WriteRequest {
  readonly TableName?: unknown;
  readonly Item?: unknown;
  readonly Key?: unknown;
  readonly TransactItems?: readonly Record<string, WriteRequest | undefined>[];
  readonly RequestItems?: Readonly<Record<string, readonly Record<string, WriteRequest | undefined>[]>>;
}

/** The keys of what a request writes. A command's own record is told as the command. */
function writtenItems(request: unknown): string[] {
  const { Item, Key, TransactItems = [], RequestItems = {} } = (request ?? {}) as WriteRequest; // Of a table; all optional.
  const single = keyText(Item ?? Key);
  if (single !== undefined) return single.startsWith('Command-') ? [] : [single];
  const actions = [...TransactItems, ...Object.values(RequestItems).flat()];
  return actions.flatMap(action => {
    const [kind, part] = Object.entries(action)[0] ?? [];
    return part === undefined || kind === 'ConditionCheck' ? [] : writtenItems(part);
  });
}

/** As items of an app have them; of another table, whatever comes first. */
function keyText(item: unknown): string | undefined {
  if (typeof item !== 'object' || item === null) return undefined;
  const { PK, SK }: { PK?: unknown; SK?: unknown } = item;
  if (PK !== undefined) return SK === undefined ? String(PK) : `${PK} ${SK}`;
  const [first] = Object.values(item);
  return typeof first === 'string' || typeof first === 'number' ? String(first) : 'an item';
}

function shortened(text: string): string {
  return text.slice(0, traceLimits.textCharactersMax).toWellFormed();
}
