import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { readEnvelope } from '../../iot/rules/index.ts';
import { MimamoriError } from '../../kernel/errors.ts';
import { writeChange } from '../../platform/table/index.ts';
import { appTable } from '../entities/index.ts';
import { changeLetter, invocationLetter, messageLetter } from './from-events.ts';
import { letterId } from './letter-id.ts';
import { LettersWorld } from './letters-world.ts';
import { deadLetterLimits } from './limits.ts';
import { payloadText } from './matching.ts';
import type { RedrivenEvent } from './port.ts';

const { tableName: TableName } = appTable;
const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString();

/** The record a handler was given. */
function recordOf(event: RedrivenEvent) {
  assert('record' in event);
  return event.record;
}

describe('an id of a dead letter', () => {
  it('is the same for the same event of the same consumer, and sorts by time, then by order', () => {
    const event = fc.record({
      consumer: fc.string(),
      eventId: fc.string(),
      receivedAtMs: fc.integer({ min: 0, max: 2 ** 42 }),
      order: fc.bigInt({ min: 0n, max: 2n ** 190n }),
    });
    fc.assert(
      fc.property(event, event, (left, right) => {
        assert.equal(letterId(left), letterId({ ...left }));
        assert.notEqual(letterId(left), letterId({ ...left, consumer: `${left.consumer}x` }));
        const [first, second] = [letterId(left), letterId(right)];
        if (left.receivedAtMs !== right.receivedAtMs)
          assert.equal(first < second, left.receivedAtMs < right.receivedAtMs);
        else if (left.order !== right.order) assert.equal(first < second, left.order < right.order);
      }),
    );
  });
});

describe('dead letters', () => {
  it('say what came, where from, why it failed and how often it was tried', async () => {
    const world = await new LettersWorld().start();
    const error = new MimamoriError({ code: 'lamp.broken', message: 'It is broken.', fix: 'Mend it.' });
    const cause = { depth: 2, originId: 'request-1', path: ['one', 'two'] };
    const topic = 'dt/app/lights/lamp/state';
    await world.keep(world.letter(7, { error, cause, topic, firstAttemptAtMs: 5, lastAttemptAtMs: 9, requestId: 'r' }));
    const [id] = await world.ids();
    const {
      storedAtMs,
      receivedAtMs,
      original,
      payload,
      error: shown,
      ...letter
    } = await world.until(world.dead.letters.get(id));
    assert.deepEqual([textOf(original), textOf(payload)], ['{"number":7}', '{"number":7}']);
    assert.ok(storedAtMs >= receivedAtMs);
    const { stack, ...reason } = shown;
    assert.deepEqual(reason, { code: 'lamp.broken', message: 'It is broken.', fix: 'Mend it.' });
    assert.match(String(stack), /dead-letters\.test/);
    assert.deepEqual(letter, {
      id,
      kind: 'message',
      consumer: 'lights',
      eventId: 'shardId-000000000000:7',
      thingName: 'lamp',
      topic,
      partitionKey: 'lamp',
      shardId: 'shardId-000000000000',
      sequenceNumber: '7',
      requestId: 'r',
      cause,
      attempts: 3,
      firstAttemptAtMs: 5,
      lastAttemptAtMs: 9,
      payloadBytes: 12,
      redrives: 0,
    });
  });

  it('are one letter when an event is given up on twice, and survive a power cut', async () => {
    const world = await new LettersWorld().start();
    const letter = world.letter(1);
    await world.keep(letter);
    await world.crash();
    await world.keep(letter);
    assert.equal((await world.ids()).length, 1);
    assert.deepEqual((await world.until(world.dead.letters.countOf('lights'))).letters, 1);
  });

  it('keep payloads as large as events can be, whole', async () => {
    const world = await new LettersWorld().start();
    for (const [index, bytes] of [0, 1, 4_096, 4_097, 300 * 1024, 300 * 1024 + 1, 1024 * 1024].entries()) {
      const payload = Buffer.alloc(bytes, 97 + index);
      await world.keep(world.letter(index + 1, { payload, thingName: `thing-${index}` }));
      const [id] = await world.ids({ thingName: `thing-${index}` });
      assert.deepEqual(Buffer.from((await world.until(world.dead.letters.get(id))).payload), payload);
    }
    await world.until(world.dead.deleteAll({}));
    const { Items } = await world.until(
      world.table.scan({
        TableName,
        FilterExpression: 'begins_with(PK, :part)',
        ExpressionAttributeValues: { ':part': '$DeadLetterPart' },
      }),
    );
    assert.deepEqual(Items, []);
    const tooLarge = world.letter(9, { payload: Buffer.alloc(3 * 1024 * 1024) });
    await assert.rejects(world.until(world.dead.keep(tooLarge)), { code: 'letter.tooLarge' });
  });

  it('of records that are no messages of ours keep them to the last byte, whatever they look like', async () => {
    const world = await new LettersWorld().start();
    const given: Buffer[] = [];
    world.run = async (_consumer, event) => void given.push(recordOf(event).data);
    const looksLikeOurs = [
      [1, 0, 2, 0, 0xff, 0xfe, 7],
      [1, 6, 1, 0, 97, 7],
      [1, 1, 1, 0, 97, 2, 0, 123, 125, 7],
    ];
    for (const [index, bytes] of [...looksLikeOurs, [1], [], [0xff, 0x00]].entries()) {
      const record = { sequenceNumber: BigInt(index + 1), partitionKey: 'k', data: Buffer.from(bytes), arrivalAtMs: 5 };
      const failed = {
        consumer: 'lights',
        shardId: 'shardId-000000000000',
        record,
        error: new Error('no'),
        attempts: 1,
      };
      await world.keep(messageLetter(failed));
      await world.redrive();
      assert.deepEqual(given.at(-1), Buffer.from(bytes));
    }
  });

  it('are listed newest first, by consumer, thing, code, time and text, page by page', async () => {
    const world = await new LettersWorld().start();
    const startedAtMs = world.clock.nowMs();
    for (let number = 1; number <= 30; number++) {
      await world.keep(
        world.letter(number, {
          consumer: number % 3 === 0 ? 'doors' : 'lights',
          thingName: `thing-${number % 5}`,
          error: number % 2 === 0 ? new MimamoriError({ code: 'a.b', message: 'even', fix: '' }) : new Error('odd'),
          payload: Buffer.from(number === 29 ? 'x'.repeat(10_000).concat('Needle') : `{"n":${number}}`),
        }),
      );
      await world.clock.advance(1_000);
    }
    const all = Array.from({ length: 30 }, (_, index) => 30 - index);
    assert.deepEqual(await world.numbers(), all);
    assert.deepEqual(
      await world.numbers({ consumer: 'doors' }),
      all.filter(number => number % 3 === 0),
    );
    assert.deepEqual(await world.numbers({ thingName: 'thing-2' }), [27, 22, 17, 12, 7, 2]);
    assert.deepEqual(await world.numbers({ code: 'a.b', thingName: 'thing-2' }), [22, 12, 2]);
    assert.deepEqual(await world.numbers({ text: 'needle' }), [29]);
    assert.deepEqual(await world.numbers({ text: 'EVEN', consumer: 'doors' }), [30, 24, 18, 12, 6]);
    const [sinceMs, untilMs] = [startedAtMs + 10_000, startedAtMs + 13_500];
    const inTime = all.filter(number => {
      const receivedAtMs = startedAtMs + (number - 1) * 1_000;
      return receivedAtMs >= sinceMs && receivedAtMs < untilMs + 1_000;
    });
    const found = await world.numbers({ sinceMs, untilMs });
    assert.ok(found.length >= 3 && found.every(number => inTime.includes(number)), `${found}`);
    const paged: number[] = [];
    let before: string | undefined;
    do {
      const page = await world.until(world.dead.letters.page({}, { before, limit: 7 }));
      paged.push(...page.letters.map(({ sequenceNumber }) => Number(sequenceNumber)));
      before = page.next;
    } while (before !== undefined);
    assert.deepEqual(paged, all);
  });

  it('can be edited, with the original kept, and put back', async () => {
    const world = await new LettersWorld().start();
    await world.keep(world.letter(1));
    const [id] = await world.ids();
    const edit = (payload?: string) =>
      world.until(world.dead.letters.edit(id, payload === undefined ? undefined : Buffer.from(payload)));
    const shown = async () => {
      const { original, payload, editedAtMs } = await world.until(world.dead.letters.get(id));
      return [textOf(original), textOf(payload), editedAtMs !== undefined];
    };
    await edit('y'.repeat(700_000));
    await edit('z'.repeat(400_000));
    assert.deepEqual(await shown(), ['{"number":1}', 'z'.repeat(400_000), true]);
    await edit('small');
    assert.deepEqual(await shown(), ['{"number":1}', 'small', true]);
    await edit();
    assert.deepEqual(await shown(), ['{"number":1}', '{"number":1}', false]);
    const { bytes } = await world.until(world.dead.letters.countOf('lights'));
    assert.equal(bytes, 1_024 + 12);
    const { Count } = await world.until(
      world.table.query({
        TableName,
        KeyConditionExpression: 'PK = :pk',
        ExpressionAttributeValues: { ':pk': `$DeadLetterPart-${id}` },
      }),
    );
    assert.equal(Count, 0);
  });

  it('of other kinds than messages are edited as JSON; a change of a table, which has happened, is not', async () => {
    const world = await new LettersWorld().start();
    const keys = { PK: 'Note-1', SK: 'Note' };
    const change = {
      name: 'INSERT',
      atMs: 5,
      keys,
      newImage: { ...keys, Data: { big: 2n ** 60n } },
      isExpired: false,
    } as const;
    const data = Buffer.from(writeChange(change));
    const record = { sequenceNumber: 4n, partitionKey: 'Note-1', data, arrivalAtMs: 5 };
    await world.keep(
      changeLetter({ consumer: 'doors', shardId: 'table-changes', record, error: 'thrown text', attempts: 1 }),
    );
    const [changeId] = await world.ids();
    const { payload } = await world.until(world.dead.letters.get(changeId));
    assert.match(payloadText('change', payload), /"big":"1152921504606846976"/);
    await assert.rejects(world.until(world.dead.letters.edit(changeId, Buffer.from('{}'))), {
      code: 'letter.notEditable',
    });
    const event = {
      kind: 'invocation',
      functionName: 'lights',
      eventId: 'e1',
      receivedAtMs: 9,
      event: { a: 1 },
    } as const;
    await world.keep(invocationLetter(event, { error: new Error('no'), attempts: 2 }));
    const [id] = await world.ids({ consumer: 'lights' });
    for (const payload of ['{', '"\\ud800"', Buffer.from([0xff])])
      await assert.rejects(world.until(world.dead.letters.edit(id, Buffer.from(payload))), {
        code: 'letter.payloadNotJson',
      });
    await world.until(world.dead.letters.edit(id, Buffer.from('{"a":2}')));
    const given: unknown[] = [];
    world.run = async (consumer, event) => void given.push([consumer, 'event' in event && event.event]);
    await world.redrive({ ids: [id] });
    assert.deepEqual(given, [['lights', { a: 2 }]]);
  });

  it('are deleted one by one, or all that fit, and what is not there is said not to be', async () => {
    const world = await new LettersWorld().start();
    await world.keep(
      ...[1, 2, 3, 4].map(number => world.letter(number, { consumer: number < 4 ? 'lights' : 'doors' })),
    );
    const [id] = await world.ids();
    await world.until(world.dead.delete(id));
    for (const unknown of [id, '', '../x', 'x'.repeat(10_000), '0'.repeat(30)])
      await assert.rejects(world.until(world.dead.delete(unknown)), { code: 'letter.notFound' });
    assert.deepEqual(await world.until(world.dead.deleteAll({ text: 'number":2' })), { deleted: 1, isMore: false });
    assert.deepEqual(await world.numbers(), [3, 1]);
    assert.deepEqual(await world.until(world.dead.deleteAll({ consumer: 'lights' })), { deleted: 2, isMore: false });
    assert.deepEqual(
      (await world.until(world.dead.letters.counts())).map(({ letters, bytes }) => [letters, bytes]),
      [
        [0, 0],
        [0, 0],
      ],
    );
  });

  it('raise an alarm while there are any, another when they grow, and none when they are gone (covers S2-27)', async () => {
    const world = await new LettersWorld().start();
    await world.keep(world.letter(1));
    assert.deepEqual(world.alarms.names, ['deadLetters lights']);
    assert.match(world.alarms.active.get('deadLetters lights')?.message ?? '', /a dead letter/);
    await world.crash();
    assert.deepEqual(world.alarms.names, ['deadLetters lights']);
    for (let number = 2; number <= deadLetterLimits.growthLettersMax + 2; number++)
      await world.keep(world.letter(number));
    assert.deepEqual(world.alarms.names, ['deadLetters lights', 'deadLettersGrowing lights']);
    await world.clock.advance(deadLetterLimits.growthWindowMs);
    await world.keep(world.letter(1_000));
    await world.clock.advance(deadLetterLimits.growthWindowMs);
    await world.keep(world.letter(1_001));
    assert.deepEqual(world.alarms.names, ['deadLetters lights']);
    await world.until(world.dead.deleteAll({}));
    assert.deepEqual(world.alarms.names, []);
  });

  it('hold up who gives up on an event when there is no room, warn before, and lose none', async () => {
    const world = await new LettersWorld().start({ lettersMax: 10, bytesMax: 1_000_000 });
    for (let number = 1; number <= 8; number++) await world.keep(world.letter(number, { thingName: `t${number}` }));
    assert.deepEqual(world.alarms.names, ['deadLetters lights', 'deadLettersNearlyFull lights']);
    for (let number = 9; number <= 10; number++) await world.keep(world.letter(number, { thingName: `t${number}` }));
    let isKept = false;
    const keeping = world.dead.keep(world.letter(11, { thingName: 't11' })).then(() => (isKept = true));
    await world.clock.advance(60_000);
    assert.equal(isKept, false);
    assert.ok(world.alarms.names.includes('deadLettersFull lights'));
    await world.keep(world.letter(12, { consumer: 'doors', thingName: 't12' })); // Others have room of their own.
    await world.until(world.dead.delete((await world.ids({ thingName: 't1' }))[0]));
    await world.until(keeping);
    assert.equal((await world.numbers({ consumer: 'lights' }))[0], 11);
    assert.ok(!world.alarms.names.includes('deadLettersFull lights'));
    const late = world.dead.keep(world.letter(13, { thingName: 't13' }));
    const refused = assert.rejects(late, { code: 'letter.full' });
    await world.clock.advance(10);
    await world.until(world.dead.close());
    await world.until(refused);
  });

  it('of one thing take no more than its share: further ones are counted, with an alarm, and hold up nobody', async () => {
    const world = await new LettersWorld().start({ lettersMax: 50, bytesMax: 1_000_000 });
    for (let number = 1; number <= 7; number++) await world.keep(world.letter(number));
    const last = world.letter(8);
    await world.keep(last, last); // Given up on again: it is not counted again.
    await world.keep(world.letter(9, { thingName: 'door' }));
    assert.deepEqual(await world.numbers(), [9, 5, 4, 3, 2, 1]);
    assert.equal((await world.until(world.dead.letters.countOf('lights'))).notKept, 3);
    assert.ok(world.alarms.names.includes('deadLettersNotKept lights'));
  });

  it('of the release before are read, listed, edited and redriven like ours', async () => {
    const world = await new LettersWorld().start();
    const reason = { ErrorCode: 'telemetry.notValid', ErrorMessage: 'It does not fit.', Attempts: 1 };
    const place = 'shardId-000000000000-00000000000000000007';
    const message = {
      ThingName: 'lamp',
      Topic: 'dt/app/lights/lamp/state',
      Payload: Buffer.from('{}'),
      ReceivedAtMs: 5,
    };
    const keys = { PK: 'Note-1', SK: 'Note' };
    const change = {
      Change: 'INSERT',
      ChangedAtMs: 6,
      Keys: keys,
      NewImage: { ...keys, Data: { a: 1 } },
      OldImage: null,
    };
    const request = { sessionId: 'a-b' };
    const items = [
      { PK: 'DeadLetter-lights', SK: place, ...message, ...reason },
      { PK: 'DeadLetter-doors', SK: 'table-changes-00000000000000000003', ...change, IsExpired: false, ...reason },
      {
        PK: 'DeadLetter-doors',
        SK: 'table-changes-00000000000000000004',
        Change: 'MODIFY',
        ChangedAtMs: 7,
        Keys: keys,
        ImagesLeftOut: true,
        ...reason,
      },
      {
        PK: 'DeadLetter-lights',
        SK: 'play-message-a-b',
        ThingName: 'lamp',
        Request: request,
        Response: null,
        Outcome: 'timedOut',
        ...reason,
      },
    ];
    for (const Item of items) await world.until(world.table.put({ TableName, Item }));
    await world.crash();
    const given: RedrivenEvent[] = [];
    world.run = async (_consumer, event) => void given.push(event);
    assert.deepEqual(
      (await world.until(world.dead.letters.counts())).map(({ letters }) => letters),
      [2, 2],
    );
    const { handled, refused } = await world.redrive();
    assert.deepEqual([handled, refused], [3, 1]); // One came without its images.
    const kinds = given.map(({ kind }) => kind).sort();
    assert.deepEqual(kinds, ['change', 'commandResult', 'message']);
    for (const event of given) {
      if (event.kind === 'message') assert.equal(readEnvelope(event.record.data)?.topic, message.Topic);
      if (event.kind === 'commandResult')
        assert.deepEqual([event.command, event.result.sessionId], ['play-message', 'a-b']);
      if (event.kind === 'change') assert.equal(event.record.sequenceNumber, 3n);
    }
    const { Items } = await world.until(
      world.table.scan({
        TableName,
        FilterExpression: 'begins_with(PK, :old)',
        ExpressionAttributeValues: { ':old': 'DeadLetter-' },
      }),
    );
    assert.deepEqual(Items, []);
  });
});
