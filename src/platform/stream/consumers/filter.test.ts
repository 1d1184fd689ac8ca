import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../contract.ts';
import type { StreamRecord } from '../port.ts';
import { ConsumersWorld, countsOf } from './consumer-world.ts';
import { compileFilter } from './filter.ts';

const recordOf = (data: string | Buffer, partitionKey = 'kitchen-1'): StreamRecord => ({
  sequenceNumber: 12n,
  partitionKey,
  data: Buffer.from(data),
  arrivalAtMs: 1_767_225_600_500,
});

const filterOf = (...patterns: unknown[]) =>
  compileFilter('test', {
    filters: patterns.map(pattern => ({ pattern: typeof pattern === 'string' ? pattern : JSON.stringify(pattern) })),
  });

const matches = (pattern: unknown, value: unknown) => filterOf({ data: pattern })(recordOf(JSON.stringify(value)));

/** A pattern on the data, what it lets through, and what it does not. */
const table: Readonly<Record<string, [pattern: unknown, yes: unknown[], no: unknown[]]>> = {
  'a value': [{ a: [1] }, [{ a: 1 }, { a: 1, b: 2 }], [{ a: 2 }, { a: '1' }, {}, 1, null, []]],
  'one of a list': [{ a: ['x', 2, true] }, [{ a: 'x' }, { a: 2 }, { a: true }], [{ a: 'y' }, { a: false }]],
  null: [{ a: [null] }, [{ a: null }], [{}, { a: 0 }, { a: '' }, { a: 'null' }]],
  'an empty text': [{ a: [''] }, [{ a: '' }], [{ a: ' ' }, {}, { a: null }]],
  'every field': [{ a: [1], b: [2] }, [{ a: 1, b: 2 }], [{ a: 1 }, { a: 1, b: 3 }]],
  'a field within': [
    { a: { b: { c: [1] } } },
    [{ a: { b: { c: 1 } } }],
    [{ a: { b: 1 } }, { a: { c: 1 } }, { a: null }],
  ],
  prefix: [{ a: [{ prefix: 'ki' }] }, [{ a: 'kitchen' }, { a: 'ki' }], [{ a: 'k' }, { a: 5 }, {}]],
  suffix: [{ a: [{ suffix: 'en' }] }, [{ a: 'kitchen' }], [{ a: 'kitche' }, {}]],
  'equals-ignore-case': [{ a: [{ 'equals-ignore-case': 'On' }] }, [{ a: 'ON' }, { a: 'on' }], [{ a: 'one' }, {}]],
  'anything-but a value': [{ a: [{ 'anything-but': 'x' }] }, [{ a: 'y' }, { a: 1 }], [{ a: 'x' }, {}, { a: { b: 1 } }]],
  'anything-but a list': [{ a: [{ 'anything-but': ['x', 5] }] }, [{ a: 'y' }, { a: 4 }], [{ a: 'x' }, { a: 5 }, {}]],
  'anything-but a prefix': [{ a: [{ 'anything-but': { prefix: 'x' } }] }, [{ a: 'y' }], [{ a: 'xy' }, {}]],
  'numeric =': [{ a: [{ numeric: ['=', 5] }] }, [{ a: 5 }, { a: 5.0 }], [{ a: 5.1 }, { a: '5' }, {}]],
  'numeric <': [{ a: [{ numeric: ['<', 5] }] }, [{ a: 4.9 }, { a: -9 }], [{ a: 5 }, {}]],
  'a numeric range': [{ a: [{ numeric: ['>', 0, '<=', 5] }] }, [{ a: 0.1 }, { a: 5 }], [{ a: 0 }, { a: 6 }, {}]],
  'exists true': [{ a: [{ exists: true }] }, [{ a: 1 }, { a: null }, { a: [] }, { a: '' }], [{}, { b: 1 }, { a: {} }]],
  'exists false': [{ a: [{ exists: false }] }, [{}, { b: 1 }, { a: { b: 1 } }], [{ a: 1 }, { a: null }, { a: [] }]],
  'several operators': [
    { a: [{ prefix: 'x' }, { numeric: ['>', 5] }, 1] },
    [{ a: 'xy' }, { a: 6 }, { a: 1 }],
    [{ a: 2 }],
  ],
  'an element of a list': [{ a: ['x'] }, [{ a: ['y', 'x'] }, { a: 'x' }], [{ a: [] }, { a: ['y'] }]],
  'one object of a list, whole': [
    { a: { b: [1], c: [2] } },
    [{ a: [{ b: 0 }, { b: 1, c: 2 }] }],
    [{ a: [{ b: 1 }, { c: 2 }] }, { a: [] }],
  ],
  $or: [
    { $or: [{ a: [1] }, { b: [{ numeric: ['>', 5] }] }], c: ['x'] },
    [
      { a: 1, c: 'x' },
      { b: 6, c: 'x' },
    ],
    [{ a: 1 }, { b: 5, c: 'x' }, { c: 'x' }],
  ],
  'a field that is called $or': [{ $or: ['x'] }, [{ $or: 'x' }], [{}, { $or: 'y' }]],
  'names of Object.prototype as any other': [{ constructor: [{ exists: true }] }, [{ constructor: 1 }], [{}, { a: 1 }]],
};

describe('filter of a consumer', () => {
  for (const [what, [pattern, yes, no]] of Object.entries(table)) {
    it(`matches ${what}`, () => {
      for (const value of yes) assert.ok(matches(pattern, value), JSON.stringify(value));
      for (const value of no) assert.ok(!matches(pattern, value), JSON.stringify(value));
    });
  }

  it('lets a record through that one of its patterns matches', () => {
    const filter = filterOf({ data: { a: [1] } }, { data: { b: [2] } });
    assert.deepEqual(
      ['{"a":1}', '{"b":2}', '{"a":2}'].map(data => filter(recordOf(data))),
      [true, true, false],
    );
    assert.ok(filterOf()(recordOf('anything')));
  });

  it('drops a record that is not JSON when a pattern asks for its data, and only then', () => {
    const broken = ['', 'hello', '{"a":1', Buffer.from([0xff, 0xfe])].map(data => recordOf(data));
    for (const record of broken) {
      assert.ok(!filterOf({ data: { a: [{ exists: false }] } })(record));
      assert.ok(filterOf({ partitionKey: ['kitchen-1', 'data'] })(record));
      assert.ok(!filterOf({ $or: [{ partitionKey: ['kitchen-1'] }, { data: { a: [1] } }] })(record));
    }
  });

  it('knows the facts of a record by Lambda’s names', () => {
    const record = recordOf('{}');
    const yes = [
      { partitionKey: [{ prefix: 'kitchen' }] },
      { sequenceNumber: ['12'] },
      { approximateArrivalTimestamp: [{ numeric: ['=', 1_767_225_600.5] }] },
      { kinesisSchemaVersion: ['1.0'] },
      { $or: [{ partitionKey: ['other'] }, { sequenceNumber: ['12'] }] },
    ];
    for (const pattern of yes) assert.ok(filterOf(pattern)(record), JSON.stringify(pattern));
    assert.ok(!filterOf({ partitionKey: ['bath'], data: { a: [{ exists: false }] } })(record));
  });

  it('refuses what it cannot read, and what is too much, with a reason', () => {
    const nested = `${'{"a":'.repeat(150)}[1]${'}'.repeat(150)}`;
    const two = [{ a: [1] }, { b: [1] }];
    let many: object = { $or: two };
    for (let level = 0; level < 11; level++) many = { x: many, $or: two };
    const refused: [unknown, RegExp][] = [
      ['{', /not JSON/],
      ['[]', /not a JSON object/],
      ['5', /not a JSON object/],
      [{ data: {} }, /empty object/],
      [{ data: { a: [] } }, /empty list/],
      [{ data: { a: 5 } }, /list or an object/],
      [{ data: { a: [[1]] } }, /list in a list/],
      [{ data: { a: [{ regex: '(a+)+$' }] } }, /operator "regex"/],
      [{ data: { a: [{ constructor: 'x' }] } }, /operator "constructor"/],
      [{ data: { a: [{ prefix: 'a', suffix: 'b' }] } }, /one name with one operand/],
      [{ data: { a: [{ prefix: 5 }] } }, /not a text/],
      [{ data: { a: [{ exists: 'yes' }] } }, /neither true nor false/],
      [{ data: { a: [{ numeric: ['>'] }] } }, /comparison or a range/],
      [{ data: { a: [{ numeric: ['>', '5'] }] } }, /and a number/],
      [{ data: { a: [{ numeric: ['<', 5, '>', 0] }] } }, /lower to a higher/],
      [{ data: { a: [{ 'anything-but': [] }] } }, /texts and numbers/],
      [{ data: { a: [{ 'anything-but': { numeric: ['=', 1] } }] } }, /cannot have/],
      [{ body: { a: [1] } }, /something else than data/],
      [{ $or: [{ partitionKey: ['a'] }, { body: { a: [1] } }] }, /something else than data/],
      [nested.replace('"a"', '"data"'), /nested deeper/],
      [JSON.stringify({ data: many }), /over 1000 ways/],
      [{ data: { a: ['x'.repeat(5_000)] } }, /longer than 4096/],
    ];
    for (const [pattern, reason] of refused) {
      assert.throws(
        () => filterOf(pattern),
        error => hasCode('stream.consumerNotValid')(error) && reason.test(String(error)),
        String(reason),
      );
    }
    const eleven = Array.from({ length: 11 }, () => ({ data: { a: [1] } }));
    assert.throws(() => filterOf(...eleven), /11 filter patterns/);
  });

  it('never throws over what devices send, whatever it is', () => {
    const filter = filterOf({ data: { a: [{ prefix: 'x' }], b: { c: [{ 'anything-but': 1 }] } } });
    fc.assert(fc.property(fc.json(), text => typeof filter(recordOf(text)) === 'boolean'));
    fc.assert(fc.property(fc.uint8Array(), bytes => filter(recordOf(Buffer.from(bytes))) === false));
    assert.equal(filter(recordOf('['.repeat(100_000))), false);
    assert.equal(filter(recordOf(`{"a":${'['.repeat(5_000)}${']'.repeat(5_000)}}`)), false);
  });

  it('passes records by without the function, and counts them as done', async () => {
    const world = new ConsumersWorld();
    for (let index = 0; index < 100; index++) world.stream.put(`k${index % 5}`, JSON.stringify({ index }));
    const given: string[] = [];
    const filter = { filters: [{ pattern: '{"data":{"index":[{"numeric":[">=",90]}]}}' }] };
    const handler = async (batch: { event: string }[]) => void given.push(...batch.map(({ event }) => event));
    const life = world.start(handler, { filter });
    await world.clock.advance(2_000);
    assert.equal(given.length, 10);
    assert.deepEqual(countsOf(world.account), { handled: 10, filtered: 90 });
    assert.deepEqual([...world.checkpoints.values()], [300n]);
    await life.stop();
  });
});
