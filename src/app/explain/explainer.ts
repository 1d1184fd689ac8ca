/** Tells the path and the fate of one message, from what the stream, the ledger, the traces and the dead letters know. */
import { readEnvelope } from '../../iot/rules/index.ts';
import { codeOf } from '../../kernel/errors.ts';
import type { StreamReader, StreamRecord } from '../../platform/stream/index.ts';
import { type DeadLetters, type LetterSummary, letterId, recordEventId } from '../dead-letters/index.ts';
import { type Ledger, ledgerLimits, thingOf } from '../ledger/index.ts';
import type { Trace, Traces } from '../traces/index.ts';
import { messageNotThere, messageOfAnother } from './errors.ts';
import { findByNumber, findByTime, type PlacedRecord } from './find-message.ts';
import { explainLimits } from './limits.ts';
import type { ExplainedConsumer, ExplainedMessage, Explanation } from './port.ts';

export interface ExplainerOptions {
  readonly openReader: () => StreamReader;
  readonly ledger: Ledger;
  readonly traces: Traces;
  readonly deadLetters: DeadLetters;
  readonly namesLieInTopics: boolean;
}

/** One of the two: when about, or which. */
export type MessageQuestion =
  | { readonly atMs: number }
  | { readonly sequenceNumber: bigint; readonly shardId?: string };

/** What is known of a record and a consumer, before it is judged. */
interface Known {
  readonly letter: LetterSummary | undefined;
  readonly traces: readonly Trace[];
  readonly minute: readonly number[] | undefined;
  readonly isFiltered: boolean;
}

export class Explainer {
  readonly #options: ExplainerOptions;

  constructor(options: ExplainerOptions) {
    this.#options = options;
  }

  /** Throws `explain.notFound`, `explain.ofAnother` and `explain.tooMany`. */
  async explain(thingName: string, question: MessageQuestion): Promise<Explanation> {
    const reader = this.#options.openReader();
    try {
      const [placed, ...others] = await this.#find(reader, thingName, question);
      const consumers: ExplainedConsumer[] = [];
      for (const consumer of this.#options.ledger.books.keys())
        consumers.push(await this.#explainFor(consumer, placed, reader));
      const neighbours = others.slice(0, explainLimits.neighboursMax).map(({ shardId, record }) => ({
        id: recordEventId(shardId, record),
        receivedAtMs: record.arrivalAtMs,
        topic: readEnvelope(record.data)?.topic,
      }));
      return { message: await this.#message(placed), consumers, neighbours };
    } finally {
      await reader.close();
    }
  }

  async #find(reader: StreamReader, thingName: string, question: MessageQuestion): Promise<PlacedRecord[]> {
    const isOfThing = (record: StreamRecord) =>
      this.#thingOf(record) === thingName || record.partitionKey === thingName;
    if ('atMs' in question) {
      const found = await findByTime(reader, { atMs: question.atMs, isOfThing });
      const around = `${explainLimits.aroundMs / 1_000} s around ${new Date(question.atMs).toISOString()}`;
      if (found.length === 0) throw messageNotThere(`${thingName.slice(0, 200)} from ${around}`);
      return found;
    }
    const placed = await findByNumber(reader, question.sequenceNumber, question.shardId);
    if (!isOfThing(placed.record)) throw messageOfAnother(thingName, this.#thingOf(placed.record));
    return [placed];
  }

  #thingOf(record: StreamRecord): string {
    return thingOf(record, this.#options.namesLieInTopics);
  }

  async #message({ shardId, record }: PlacedRecord): Promise<ExplainedMessage> {
    const { ledger } = this.#options;
    const message = readEnvelope(record.data);
    const payload = message?.payload ?? record.data;
    const thingName = this.#thingOf(record);
    await ledger.hearLatest();
    const received = (await ledger.received.countsOf(minuteOf(record))).get(thingName)?.[0];
    return {
      id: recordEventId(shardId, record),
      thingName,
      partitionKey: record.partitionKey,
      shardId,
      sequenceNumber: String(record.sequenceNumber),
      receivedAtMs: record.arrivalAtMs,
      ...(message && { topic: message.topic }),
      payloadBytes: payload.length,
      payload: payload.toString('utf8', 0, explainLimits.payloadCharactersMax).toWellFormed(),
      ...(message?.cause && { cause: message.cause }),
      ...(received !== undefined && { receivedInMinute: received }),
    };
  }

  async #explainFor(consumer: string, placed: PlacedRecord, reader: StreamReader): Promise<ExplainedConsumer> {
    const { ledger, traces: allTraces } = this.#options;
    const { shardId, record } = placed;
    const book = ledger.books.get(consumer);
    const traces = await allTraces.find(consumer, shardId, record.sequenceNumber);
    const settledUpTo = book?.accountOf(shardId)?.settledUpTo ?? 0n;
    if (book === undefined || record.sequenceNumber > settledUpTo) {
      const last = (await reader.locate(shardId, { type: 'LATEST' })) ?? 0n;
      const [next] = await reader.read(shardId, settledUpTo === 0n ? null : settledUpTo, 1);
      const behindMs = next && Math.max(0, ledger.nowMs() - next.arrivalAtMs);
      const why = `It has not come to an end yet: ${consumer} is done up to number ${settledUpTo} of ${last}.`;
      return { consumer, fate: 'waiting', why, recordsBehind: String(last - settledUpTo), behindMs, traces };
    }
    const minute = (await book.countsOf(minuteOf(record))).get(this.#thingOf(record));
    const letter = await this.#letterOf(consumer, placed);
    const judged = judge(consumer, { letter, traces, minute, isFiltered: book.isFiltered(record) });
    return { consumer, ...judged, ...(letter && { letter }), traces, ...(minute && { minute: namedCounts(minute) }) };
  }

  /** Its id is made of the record: there is no need to search. */
  async #letterOf(consumer: string, { shardId, record }: PlacedRecord): Promise<LetterSummary | undefined> {
    const eventId = recordEventId(shardId, record);
    const id = letterId({ consumer, eventId, receivedAtMs: record.arrivalAtMs, order: record.sequenceNumber });
    try {
      const { original: _, payload: __, ...summary } = await this.#options.deadLetters.letters.get(id, consumer);
      return summary;
    } catch (error) {
      if (codeOf(error) !== 'letter.notFound') throw error;
      return undefined;
    }
  }
}

/** The most certain knowledge first: a letter, a trace, the filter; then what the ledger leaves possible. */
function judge(
  consumer: string,
  { letter, traces, minute, isFiltered }: Known,
): Pick<ExplainedConsumer, 'fate' | 'why'> {
  if (letter) {
    const { attempts, error, redrives } = letter;
    const again = redrives > 0 ? `, redriven ${redrives} times in vain` : '';
    return { fate: 'deadLettered', why: `It failed ${times(attempts)}${again}: ${error.message} [${error.code}]` };
  }
  // A batch is known by its ends: what lies between them and is filtered was not in it.
  const isExact = ({ count, first, last }: Trace) => BigInt(last) - BigInt(first) + 1n === BigInt(count);
  const done = traces.findLast(trace => trace.outcome === 'succeeded' && (!isFiltered || isExact(trace)));
  if (done) return { fate: 'handled', why: `${done.functionName} handled it on attempt ${done.attempt}.` };
  if (traces.some(({ outcome }) => outcome === 'expired'))
    return { fate: 'expired', why: `It was older than ${consumer} takes when its turn came.` };
  if (isFiltered)
    return { fate: 'filtered', why: `It is of no interest to ${consumer}, which passes such messages by.` };
  const [handled, , dead, expired] = minute ?? [0, 0, 0, 0];
  if (dead > 0 && handled === 0)
    return { fate: 'deadLettered', why: 'It was dead-lettered, and its letter has been redriven or deleted since.' };
  if (expired > 0 && handled === 0)
    return { fate: 'expired', why: 'Like all of the thing in that minute, it expired.' };
  if (handled > 0 && dead + expired === 0)
    return { fate: 'handled', why: 'It was handled; the details of its invocation are not kept any more.' };
  return { fate: 'settled', why: `${consumer} is done with it; the details are not kept any more.` };
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

function minuteOf({ arrivalAtMs }: StreamRecord): number {
  return Math.floor(arrivalAtMs / ledgerLimits.minuteMs);
}

function namedCounts([handled, filtered, deadLettered, expired]: readonly number[]): Record<string, number> {
  return { handled, filtered, deadLettered, expired };
}
