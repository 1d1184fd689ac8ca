import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import app from '../apps/speaker/app.ts';
import { appTable } from '../src/app/index.ts';
import { withStoppedTable } from '../src/local/index.ts';
import { temporaryFolder } from './support.ts';

function backfill(data: string, ...args: string[]) {
  return spawnSync(process.execPath, ['bin/mimamori.js', 'backfill', 'apps/speaker', '--data', data, ...args], {
    encoding: 'utf8',
  });
}

const speakers = 250;

/** As the first version laid them: the `by` values in the sort key of the index. */
async function fillAsBefore(data: string): Promise<void> {
  await withStoppedTable(data, app, async table => {
    for (let index = 0; index < speakers; index++) {
      const speakerId = `s${index}`;
      const Data = { speakerId, name: 'Kitchen', owner: 'alice', createdAt: String(index), presence: 'unknown' };
      const common = { PK: `Speaker-${speakerId}`, Version: 1, CreatedAt: 't', UpdatedAt: 't', Data };
      for (const keys of [{ SK: 'Speaker' }, { SK: 'Speaker-byOwner', SortKey: `alice#${index}` }])
        await table.put({ TableName: appTable.tableName, Item: { ...common, ...keys } });
    }
  });
}

describe('mimamori backfill', () => {
  it('fills what an older version stored otherwise, tells how far it is, and has nothing to do the second time', async () => {
    const data = temporaryFolder();
    await fillAsBefore(data);
    const { stdout, status } = backfill(data, '--json');
    assert.equal(status, 0);
    const lines = stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line));
    assert(lines.filter(({ event }) => event === 'progress').length > 1);
    const last = lines.at(-1);
    assert.deepEqual([last.event, last.repaired, last.notUnique], ['done', speakers, 0]);
    assert.match(backfill(data).stdout, /Every access pattern is filled/);
    await withStoppedTable(data, app, async table => {
      const { Count } = await table.query({
        TableName: appTable.tableName,
        IndexName: 'GSI1',
        KeyConditionExpression: 'SK = :lookup',
        ExpressionAttributeValues: { ':lookup': 'Speaker-byOwner#alice' },
      });
      assert.equal(Count, speakers);
    });
  });
});
