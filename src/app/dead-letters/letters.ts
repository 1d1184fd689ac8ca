/** The dead letters of an app: kept in its table until somebody redrives or deletes them. Nothing here expires. */
import { asCaller } from '../../kernel/callers.ts';
import type { Clock } from '../../kernel/clock.ts';
import { codeOf } from '../../kernel/errors.ts';
import { parseJson } from '../../kernel/json.ts';
import { isConditionFailure, type Table, tableLimits } from '../../platform/table/index.ts';
import { appTable } from '../entities/index.ts';
import { cancellationCodes } from '../entities/throttling.ts';
import { deadLettersFull, letterInHand, letterNotEditable, letterNotFound, payloadNotJson } from './errors.ts';
import { firstIdAt, isLetterId } from './letter-id.ts';
import {
  claimOf,
  countOf,
  deleteOf,
  editOf,
  failedAgain,
  type LetterBounds,
  letGo,
  passedBy,
  placesOfPut,
  putOf,
  type Transaction,
} from './letter-writes.ts';
import { deadLetterLimits } from './limits.ts';
import { fitsFacts, holdsIt, saysIt } from './matching.ts';
import { newestFirst } from './newest-first.ts';
import type { DeadLetter, LetterCount, LetterFilter, LetterPage, NewLetter } from './port.ts';
import { countOutcome } from './redrives.ts';
import {
  countsKey,
  lettersKey,
  type PayloadVersion,
  partKey,
  type StoredLetter,
  type StoredPayload,
  storedLetter,
  storedPayload,
  summaryOf,
} from './stored-letter.ts';

const { tableName: TableName } = appTable;

/** `known`: it was given up on before. `notKept`: its thing has used up its share; it was counted. */
export type PutOutcome = 'kept' | 'known' | 'notKept';

/** What became of a letter in a redrive. */
export type LetterEnd =
  | { readonly outcome: 'handled' }
  | { readonly outcome: 'failed'; readonly error: unknown }
  | { readonly outcome: 'refused'; readonly isInHand: boolean };

export interface LettersOptions {
  readonly table: Table;
  readonly clock: Clock;
  readonly bounds?: LetterBounds;
}

export class Letters {
  readonly #table: Table;
  readonly #clock: Clock;
  readonly bounds: LetterBounds;

  constructor({ table, clock, bounds = deadLetterLimits }: LettersOptions) {
    this.#table = table;
    this.#clock = clock;
    this.bounds = bounds;
  }

  /** Resolves once it would survive a crash. Throws `letter.full` when its consumer has as many as are kept. */
  async put(letter: NewLetter): Promise<PutOutcome> {
    const { item, parts } = storedLetter(letter, this.#clock.nowMs());
    try {
      await this.#transact(putOf(item, parts, this.bounds));
      return 'kept';
    } catch (error) {
      const refused = (place: number) => cancellationCodes(error)[place] === 'ConditionalCheckFailed';
      if (refused(placesOfPut.letter)) return 'known';
      if (refused(placesOfPut.count)) throw deadLettersFull(letter.consumer);
      if (item.ThingName === undefined || !refused(placesOfPut.share)) throw error;
      await this.#transact(countOf(item, item.ThingName)).catch(ifRefused(undefined));
      return 'notKept';
    }
  }

  /** Newest first: those whose events came in last. */
  async page(filter: LetterFilter, { before, limit }: { before?: string; limit?: number } = {}): Promise<LetterPage> {
    const { pageLettersDefault, pageLettersMax, examinedPerPageMax } = deadLetterLimits;
    const lettersMax = Math.min(limit ?? pageLettersDefault, pageLettersMax);
    const letters: StoredLetter[] = [];
    let examined = 0;
    for await (const letter of this.newest(filter, before)) {
      examined++;
      if (await this.fits(letter, filter)) letters.push(letter);
      if (letters.length >= lettersMax || examined >= examinedPerPageMax)
        return { letters: letters.map(summaryOf), next: letter.SK };
    }
    return { letters: letters.map(summaryOf) };
  }

  /** Those of the time and consumer that are asked for; the rest of the filter is for `fits`. */
  async *newest(filter: LetterFilter, before?: string): AsyncGenerator<StoredLetter> {
    const consumers = filter.consumer === undefined ? await this.consumers() : [filter.consumer];
    const from = firstIdAt(filter.sinceMs ?? 0);
    const untils = [firstIdAt(filter.untilMs ?? Number.MAX_SAFE_INTEGER), ...(before === undefined ? [] : [before])];
    const to = untils.reduce((least, each) => (each < least ? each : least));
    yield* newestFirst(consumers.map(consumer => this.#partition(consumer, from, to, false)));
  }

  /** One consumer's, oldest first, behind `after`: a redrive keeps the order in which events came in. */
  async *oldest(consumer: string, filter: LetterFilter, after?: string): AsyncGenerator<StoredLetter> {
    const from = firstIdAt(filter.sinceMs ?? 0);
    const to = firstIdAt(filter.untilMs ?? Number.MAX_SAFE_INTEGER);
    const start = after !== undefined && after > from ? after : from;
    for await (const letter of this.#partition(consumer, start, to, true)) if (letter.SK !== after) yield letter;
  }

  async *#partition(consumer: string, from: string, to: string, forward: boolean): AsyncGenerator<StoredLetter> {
    if (from > to) return;
    let ExclusiveStartKey: Record<string, unknown> | undefined;
    do {
      const page = await this.#table.query({
        TableName,
        KeyConditionExpression: 'PK = :pk AND SK BETWEEN :from AND :to',
        ExpressionAttributeValues: { ':pk': lettersKey(consumer), ':from': from, ':to': to },
        ScanIndexForward: forward,
        ConsistentRead: true,
        Limit: queryLettersMax,
        ExclusiveStartKey,
      });
      // As `put` put them there. `to` is where it ends: an id that is given is not among them.
      for (const letter of (page.Items ?? []) as StoredLetter[]) if (letter.SK !== to) yield letter;
      ExclusiveStartKey = page.LastEvaluatedKey;
    } while (ExclusiveStartKey !== undefined);
  }

  async fits(letter: StoredLetter, filter: LetterFilter): Promise<boolean> {
    if (!fitsFacts(letter, filter)) return false;
    if (filter.text === undefined || saysIt(letter, filter.text)) return true;
    const payload = await this.payloadOf(letter).catch(ifGone);
    return payload !== undefined && holdsIt(letter.Kind, payload, filter.text);
  }

  /** Throws `letter.notFound`. */
  async get(id: string, consumer?: string): Promise<DeadLetter> {
    const letter = await this.find(id, consumer);
    const original = await this.#read(letter, 'original', letter.Original);
    return { ...summaryOf(letter), original, payload: await this.payloadOf(letter) };
  }

  /** Throws `letter.notFound`. */
  async find(id: string, consumer?: string): Promise<StoredLetter> {
    const consumers = consumer === undefined ? await this.consumers() : [consumer];
    for (let from = 0; isLetterId(id) && from < consumers.length; from += tableLimits.batchGetKeysMax) {
      const asked = consumers.slice(from, from + tableLimits.batchGetKeysMax);
      const Keys = asked.map(name => ({ PK: lettersKey(name), SK: id }));
      const { Responses } = await this.#table.batchGet({
        RequestItems: { [TableName]: { Keys, ConsistentRead: true } },
      });
      const [found] = (Responses?.[TableName] ?? []) as StoredLetter[]; // As `put` put it there.
      if (found !== undefined) return found;
    }
    throw letterNotFound(id);
  }

  /** What a redrive gives: the edited payload, or the original. */
  payloadOf(letter: StoredLetter): Promise<Uint8Array> {
    const { Edited, Original } = letter;
    return Edited ? this.#read(letter, 'edited', Edited) : this.#read(letter, 'original', Original);
  }

  async #read({ SK: id }: StoredLetter, version: PayloadVersion, payload: StoredPayload): Promise<Uint8Array> {
    if (payload.Inline !== undefined) return payload.Inline;
    const parts: Uint8Array[] = [];
    for (let index = 0; index < (payload.Parts ?? 0); index++) {
      const { Item } = await this.#table.get({ TableName, Key: partKey(id, version, index), ConsistentRead: true });
      if (!Item) throw letterNotFound(id); // It was deleted meanwhile.
      parts.push(Item.Bytes);
    }
    return Buffer.concat(parts);
  }

  /**
   * Another payload is redriven in place of the original, which is kept. Throws `letter.notFound`, `.notEditable`,
   * `.payloadNotJson`, `.tooLarge` and `.inHand`.
   * @param payload  undefined: the original again
   */
  async edit(id: string, payload: Uint8Array | undefined): Promise<void> {
    const letter = await this.find(id);
    if (letter.Kind === 'change') throw letterNotEditable(id);
    if (payload !== undefined && letter.Kind !== 'message') checkJson(payload);
    const edited = payload && storedPayload(id, 'edited', payload);
    const write = editOf(letter, edited?.payload, edited?.parts ?? [], this.#clock.nowMs());
    await this.#transact(write).catch(ifRefused(letterInHand(id)));
  }

  /** Throws `letter.notFound` and `letter.inHand`. */
  async delete(id: string): Promise<void> {
    await this.remove(await this.find(id));
  }

  /** Throws `letter.inHand`, also when it is not as it was read any more. */
  async remove(letter: StoredLetter): Promise<void> {
    await this.#transact(deleteOf(letter, this.#clock.nowMs())).catch(ifRefused(letterInHand(letter.SK)));
  }

  // --- For redrives -------------------------------------------------------------------------------------------------

  /** False: another redrive has it in hand, or it is not as it was read any more. */
  async claim(letter: StoredLetter, redriveId: string, tries: number): Promise<boolean> {
    const update = claimOf(letter, redriveId, tries, this.#clock.nowMs());
    try {
      await asCaller({ accessPattern: '$deadLetters' }, () => this.#table.update(update));
      return true;
    } catch (error) {
      if (isConditionFailure(error)) return false;
      throw error;
    }
  }

  /** Each outcome is one transaction with the redrive's count of it. Content when the letter is gone. */
  async settle(letter: StoredLetter, redriveId: string, end: LetterEnd): Promise<void> {
    const nowMs = this.#clock.nowMs();
    const write: Transaction =
      end.outcome === 'handled'
        ? deleteOf(letter, nowMs, redriveId)
        : end.outcome === 'failed'
          ? [{ Update: failedAgain(letter, end.error, redriveId, nowMs) }]
          : [{ Update: passedBy(letter, redriveId, end.isInHand) }];
    await this.#transact([...write, countOutcome(redriveId, end.outcome)]).catch(ifRefused(undefined));
  }

  async release(letter: StoredLetter): Promise<void> {
    await this.#transact([{ Update: letGo(letter) }]).catch(ifRefused(undefined));
  }

  // --- Counts -------------------------------------------------------------------------------------------------------

  /** Of every consumer that has or had letters, by name. */
  async counts(): Promise<LetterCount[]> {
    const counts: LetterCount[] = [];
    let ExclusiveStartKey: Record<string, unknown> | undefined;
    do {
      const page = await this.#table.query({
        TableName,
        KeyConditionExpression: 'PK = :pk',
        ExpressionAttributeValues: { ':pk': countsKey },
        ConsistentRead: true,
        ExclusiveStartKey,
      });
      for (const { SK, Letters = 0, Bytes = 0, NotKept = 0 } of page.Items ?? [])
        counts.push({ consumer: SK, letters: Letters, bytes: Bytes, notKept: NotKept });
      ExclusiveStartKey = page.LastEvaluatedKey;
    } while (ExclusiveStartKey !== undefined);
    return counts;
  }

  async countOf(consumer: string): Promise<LetterCount> {
    const { Item } = await this.#table.get({ TableName, Key: { PK: countsKey, SK: consumer }, ConsistentRead: true });
    return { consumer, letters: Item?.Letters ?? 0, bytes: Item?.Bytes ?? 0, notKept: Item?.NotKept ?? 0 };
  }

  async consumers(): Promise<string[]> {
    const counts = await this.counts();
    return counts.filter(({ letters }) => letters > 0).map(({ consumer }) => consumer);
  }

  async #transact(TransactItems: Transaction): Promise<void> {
    await asCaller({ accessPattern: '$deadLetters' }, () => this.#table.transactWrite({ TransactItems }));
  }
}

const queryLettersMax = 100; // ours: letters of one query; at 4 KiB each well below a page

/** For a transaction whose condition may fail: that is told in our words, or, without any, nothing to tell. */
function ifRefused(refusal: Error | undefined): (error: unknown) => void {
  return error => {
    if (!cancellationCodes(error).includes('ConditionalCheckFailed')) throw error;
    if (refusal) throw refusal;
  };
}

/** It was redriven or deleted meanwhile. */
export function ifGone(error: unknown): undefined {
  if (codeOf(error) !== 'letter.notFound') throw error;
  return undefined;
}

function checkJson(payload: Uint8Array): void {
  try {
    parseJson(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  } catch {
    throw payloadNotJson();
  }
}
