import assert from 'node:assert/strict';
import { it } from 'node:test';
import { documentOf, formatReport, type Report } from './report.ts';
import { formatCount } from './report-cells.ts';

const report: Report = {
  benchmark: 'sample',
  startedAt: '2026-01-01T00:00:00.000Z',
  method: 'How it was done.',
  settings: { rounds: 3, subscribers: 10_000 },
  machine: { cores: 2, cpu: 'cpu', memoryBytes: 2 ** 30, kernel: 'k', node: 'v24', loadAverageAtStart: 0 },
  versions: { theirs: '1.2' },
  skipped: [{ server: 'absent', needs: 'absent-server' }],
  notes: [],
  tables: [
    {
      figures: [{ name: 'rate', head: 'rate', summary: 'spread', format: formatCount }],
      ratios: [{ name: 'rate', head: 'rate x', better: 'more', valueOf: values => values.rate }],
      results: [
        {
          load: { name: 'one' },
          servers: [
            {
              server: 'ours',
              role: 'subject',
              figures: { rate: { median: 3_000, min: 2_000, max: 4_000 } },
              rounds: [{ rate: 3_000 }],
              failure: undefined,
            },
            { server: 'theirs', role: 'peer', figures: { rate: undefined }, rounds: [], failure: 'It stopped.' },
          ],
          ratios: { rate: { byServer: {}, bestPeer: 1.5 } },
        },
      ],
    },
  ],
};

it('prints a row for each server, the best ratio with ours, and what failed or is missing', () => {
  const text = formatReport(report);
  assert.match(text, /^one +ours +3,000 \(2,000-4,000\) +1\.50$/m);
  assert.match(text, /^ +theirs +failed +-$/m);
  assert.match(text, /^one, theirs: It stopped\.$/m);
  assert.match(text, /^absent: skipped: needs absent-server$/m);
  assert.match(text, /^Settings: rounds 3, subscribers 10,000$/m);
});

it('gives programs the figures by name in each server, the ratios, and the first one to the best peer as `ratio`', () => {
  const document = JSON.parse(JSON.stringify(documentOf(report)));
  const [result] = document.results;
  assert.deepEqual(result.load, { name: 'one' });
  assert.deepEqual(result.servers[0].rate, { median: 3_000, min: 2_000, max: 4_000 });
  assert.deepEqual(result.servers[0].rounds, [{ rate: 3_000 }]);
  assert.deepEqual(result.ratios, { rate: { byServer: {}, bestPeer: 1.5 } });
  assert.equal(result.ratio, 1.5);
  assert.equal(document.tables, undefined);
});
