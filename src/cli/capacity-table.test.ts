import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CapacityReport } from '../app/index.ts';
import { capacityText } from './capacity-table.ts';

const use = { lastMinuteReadUnits: 0, lastMinuteWriteUnits: 4, share: 0.75 };
const report: CapacityReport = {
  sinceMs: Date.UTC(2026, 0, 1),
  nowMs: Date.UTC(2026, 0, 1, 0, 5),
  patterns: [
    {
      ...use,
      accessPattern: 'Message.create',
      functionName: 'POST /v1/messages',
      calls: 1_200,
      readUnits: 0.5,
      writeUnits: 6_000,
      dollars: 0.00375,
    },
    { ...use, calls: 1, readUnits: 1, writeUnits: 0, dollars: 0 },
  ],
  rows: [],
  functions: [],
  hotPartitions: [
    { kind: 'write', tableName: 'app', indexName: 'GSI1', partition: 'User-\u001b[31mevil\n', units: 12, share: 0.5 },
  ],
  nPlusOne: [
    {
      functionName: 'GET /v1/devices',
      operation: 'entities.list',
      target: 'Reading.byDevice',
      line: '/app/routes.ts:12',
      invocations: 3,
      callsMax: 100,
      fix: 'Bring it along.',
    },
  ],
  prices: { region: 'us-east-1', asOf: '2026-08-21', dollarsPerMillion: { read: 0.125, write: 0.625 } },
};

describe('a capacity report for a person', () => {
  it('has columns, says what was left out, and what things cost where', () => {
    assert.equal(
      capacityText(report, 1),
      `Used since 2026-01-01T00:00:00.000Z (5 min); in brackets the last minute.

  pattern         function           calls  read units  write units  share       cost
  Message.create  POST /v1/messages  1,200     0.5 (0)    6,000 (4)    75%  $0.003750
… and 1 more; --top 2 shows all.

Prices: DynamoDB on demand in us-east-1, $0.625 per million write units and $0.125 per million read units (list of 2026-08-21); an estimate, not a bill.

Hot keys, of late:
  User-·[31mevil·  write  app/GSI1  12 units  50%

Lists read piece by piece (N+1):
  GET /v1/devices: entities.list Reading.byDevice, up to 100 times (in 3 invocations)
    /app/routes.ts:12
    Bring it along.
`,
    );
  });

  it('says so when there is nothing to tell', () => {
    const text = capacityText({ ...report, patterns: [], hotPartitions: [], nPlusOne: [] }, 10);
    assert.match(text, /No hot keys\.\n\nNo list was read piece by piece/);
  });
});
