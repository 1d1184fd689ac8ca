import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { mistakenCitationsKnown, openClausesKnown } from './open-clauses.ts';
import { clausesOf, openClauses, readConformance, renderConformance } from './report.ts';
import { documentPath, readSources } from './sources.ts';

const report = readConformance(await readSources());

describe('the clauses', () => {
  it('are as many in each chapter as in appendix B of their standard', () => {
    const perChapter = (clauses: readonly { id: string }[]) =>
      Object.entries(Object.groupBy(clauses, ({ id }) => id[0])).map(([chapter, of = []]) => [chapter, of.length]);
    assert.deepEqual(perChapter(clausesOf['311']), [
      ['1', 3],
      ['2', 9],
      ['3', 95],
      ['4', 26],
      ['6', 4],
      ['7', 4],
    ]);
    assert.deepEqual(perChapter(clausesOf['5']), [
      ['1', 5],
      ['2', 7],
      ['3', 175],
      ['4', 60],
      ['6', 4],
    ]);
  });

  it('are each there once, in order and without gaps, but for 2.2.1-1 of MQTT 5 which does not exist', () => {
    for (const clauses of Object.values(clausesOf)) {
      let [section, number] = ['', 0];
      for (const { id } of clauses) {
        const [of, n] = id.split('-');
        const expected = of === section ? number + 1 : of === '2.2.1' ? 2 : 1;
        assert.equal(Number(n), expected, id);
        assert(of === section || precedes(section, of), id);
        [section, number] = [of, Number(n)];
      }
    }
  });
});

function precedes(before: string, after: string): boolean {
  return before.localeCompare(after, 'en', { numeric: true }) < 0;
}

describe('the citations in the sources', () => {
  it('name clauses that exist', () => {
    assert.deepEqual(report.mistaken.toSorted(), mistakenCitationsKnown.toSorted());
  });

  it('leave open what open-clauses.ts says, no more and no less', () => {
    const open = openClauses(report);
    const lost = open.filter(clause => !openClausesKnown.includes(clause));
    const proved = openClausesKnown.filter(clause => !open.includes(clause));
    assert.deepEqual(lost, [], 'these must be proved and no test cites them');
    assert.deepEqual(proved, [], 'these have a test, or need none: take them out of open-clauses.ts');
  });

  it('make docs/mqtt-conformance.md what it is: npm run conformance writes it anew', () => {
    assert(readFileSync(documentPath, 'utf8') === renderConformance(report), 'run npm run conformance');
  });
});
