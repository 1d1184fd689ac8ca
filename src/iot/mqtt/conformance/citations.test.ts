import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { citationsIn, rowNameAt, symbolAt, testsIn } from './citations.ts';
import { openClauses, readConformance, renderConformance } from './report.ts';

/** As it stands in a source, without being a citation of this file's own. */
const cite = (list: string, version = '5') => `[MQTT${version} ${list}]`;
const clauses = (list: string, version?: string) => citationsIn(cite(list, version)).found.map(({ clause }) => clause);

describe('a citation', () => {
  it('names one clause or several, of one section in short, or from one to another', () => {
    assert.deepEqual(clauses('3.1.2-4'), ['3.1.2-4']);
    assert.deepEqual(clauses('3.1.2-4, 3.14.4-3'), ['3.1.2-4', '3.14.4-3']);
    assert.deepEqual(clauses('3.1.2-13, -15', '311'), ['3.1.2-13', '3.1.2-15']);
    assert.deepEqual(clauses('4.7.0-1, 4.7.3-1 … 4.7.3-3'), ['4.7.0-1', '4.7.3-1', '4.7.3-2', '4.7.3-3']);
  });

  it('knows its standard and its line', () => {
    const { found } = citationsIn(`a\n// ${cite('1.5.3-1', '311')} ${cite('1.5.4-1')}`);
    assert.deepEqual(found, [
      { standard: '311', clause: '1.5.3-1', line: 1 },
      { standard: '5', clause: '1.5.4-1', line: 1 },
    ]);
  });

  it('may explain with a section or a table, which prove nothing', () => {
    for (const list of ['3.1.2.11.4', '4.7', 'table 2-4', 'table 3.1', '3.2.2.2 … 3.15.2.1', '3.2.2-21, 3.2.2.3.2']) {
      assert.deepEqual(citationsIn(cite(list)).unreadable, [], list);
    }
    assert.deepEqual(clauses('3.2.2-21, 3.2.2.3.2'), ['3.2.2-21']);
  });

  it('is unreadable when it is in another form', () => {
    const others = ['MQTT', '3.1.2-4 3.1.2-5', '3.1.2-4,3.1.2-5', '3.1-4', '3.1.2-4 … 3.1.3-1', 'see 3.1.2-4', '-4'];
    for (const list of others) assert.deepEqual(citationsIn(cite(list)).unreadable, [cite(list)], list);
    assert.deepEqual(citationsIn(cite('3.1.2-4', '4')).unreadable, [cite('3.1.2-4', '4')]);
  });
});

const testFile = `
import { it } from 'node:test';
// ${cite('1.5.4-1')} proves nothing: no test is near.
describe('a thing', () => {
  const promise = async () => {
    hold(); // ${cite('2.1.3-1')}
  };
  it('holds', async () => {
    await promise();
  });
  for (const version of versions) {
    it(\`keeps \${version} [MQTT\` + '', () => keeps(version));
    it(\`says it’s \${version} ${cite('3.1.0-2')}\`, async () => {
      if (version) {
        // ${cite('3.1.2-4')}
      }
    });
  }
  it('is short', () => assert(true)); // ${cite('3.1.2-5')}
  it('waits', { todo: 'for more' }, async () => {
    // ${cite('3.1.2-6')}
  });
});
describe.skip('another', () => {
  it('is left out', () => {
    // ${cite('3.1.2-7')}
  });
});
`;

describe('the tests of a file', () => {
  it('are found with their names, and with what stands before them', () => {
    const report = readConformance([{ path: 'src/a.test.ts', text: testFile }]);
    const proofs = report.findings['5'].flatMap(({ clause, proved, todo }) => [
      ...proved.map(({ name }) => [clause.id, name]),
      ...todo.map(({ name }) => [clause.id, `to do: ${name}`]),
    ]);
    assert.deepEqual(proofs, [
      ['2.1.3-1', 'a thing: holds'],
      ['3.1.0-2', 'a thing: says it’s …'],
      ['3.1.2-4', 'a thing: says it’s …'],
      ['3.1.2-5', 'a thing: is short'],
      ['3.1.2-6', 'to do: a thing: waits'],
      ['3.1.2-7', 'to do: another: is left out'],
    ]);
  });

  it('end where their braces do', () => {
    const lines = testFile.split('\n');
    for (const { name, toLine } of testsIn(testFile)) {
      if (name.endsWith('holds') || name.endsWith('waits')) assert.equal(lines[toLine], '  });');
    }
  });
});

describe('a line of a source', () => {
  const source = `
export class Door {
  /** Explains ${cite('1.5.4-1')}. */
  open(guest: { name: string; age: number }): void {
    // Inside.
    for (const step of steps) {
      step();
    }
  }

  #lock = true; // Here.
}

/** Above. */
export const limit = 3;

function last(): number {
  return limit;
}`.split('\n');
  const symbolOf = (text: string) =>
    symbolAt(
      source,
      source.findIndex(line => line.includes(text)),
    );

  it('belongs to what it stands in or above', () => {
    assert.equal(symbolOf('Explains'), 'open');
    assert.equal(symbolOf('Inside'), 'open');
    assert.equal(symbolOf('step();'), 'open');
    assert.equal(symbolOf('Here'), '#lock');
    assert.equal(symbolOf('Above'), 'limit');
    assert.equal(symbolOf('return limit'), 'last');
  });

  it('of a table of vectors is named by its row', () => {
    assert.equal(rowNameAt(`  refused('no filter ${cite('3.8.3-2')}', client5, '82 02 0001', 0x82),`), 'no filter');
    assert.equal(rowNameAt(`// ${cite('3.8.3-2')}`), undefined);
  });
});

describe('the report', () => {
  const files = [
    { path: 'src/a.ts', text: `export function obey() {} // ${cite('3.12.4-1')} ${cite('9.9.9-9')}` },
    { path: 'src/a.test.ts', text: `it('answers ${cite('3.12.4-1')} ${cite('3.3.5-2')}', () => {});` },
    { path: 'src/iot/mqtt/vectors.ts', text: `valid('short ${cite('2.2.2-1')}', client5, 'c0 00', pingreq),` },
  ];
  const report = readConformance(files);

  it('names citations of clauses that do not exist', () => {
    assert.deepEqual(report.mistaken, [`src/a.ts: ${cite('9.9.9-9')}`, `src/a.test.ts: ${cite('3.3.5-2')}`]);
  });

  it('has proof in tests and vectors, none in the code itself', () => {
    const open = new Set(openClauses(report));
    assert(!open.has('MQTT5 3.12.4-1') && !open.has('MQTT5 2.2.2-1'));
    assert(open.has('MQTT311 3.12.4-1') && open.has('MQTT5 3.1.0-2'));
    assert(!open.has('MQTT5 3.1.2-20') && !open.has('MQTT311 7.0.0-1')); // The client's, and none of ours.
  });

  it('is written as tables with links and without line numbers', () => {
    const text = renderConformance(report);
    assert(text.includes('| 3.12.4-1 | server | PINGREQ is answered with PINGRESP. | [a.ts](../src/a.ts) obey | '));
    assert(text.includes(' | [a.test.ts](../src/a.test.ts) answers |\n'));
    assert(text.includes('[vectors.ts](../src/iot/mqtt/vectors.ts) short |\n'));
    assert(text.includes('| 3.1.2-20 | client | ') && text.includes(' | of the client |\n'));
  });
});
