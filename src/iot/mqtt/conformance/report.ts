import { citationsIn, rowNameAt, symbolAt, testsIn } from './citations.ts';
import { type Clause, exemptionOf, needsTest, type Standard, standards } from './clause.ts';
import { clauses5 } from './clauses-5.ts';
import { clauses311 } from './clauses-311.ts';

/** What the sources say of each clause, and docs/mqtt-conformance.md made of it. Reads no files itself. */

export interface SourceFile {
  /** From the root of the repository, with `/`. */
  readonly path: string;
  readonly text: string;
}

export const clausesOf: Readonly<Record<Standard, readonly Clause[]>> = { '311': clauses311, '5': clauses5 };

/** Tables of bytes beside packets: decode.test.ts, encode.test.ts and codec.test.ts run every row. */
const vectorTables = ['src/iot/mqtt/vectors.ts', 'src/iot/mqtt/systematic-vectors.ts'];
/** Neither tests nor obeying anything. */
const testTools = /^src\/iot\/mqtt\/((vector|gateway-world|packet-arbitraries)\.ts$|conformance\/)/;

/** Where a clause is obeyed or proved: a file, and in it a symbol, a test or a row. */
export interface Evidence {
  readonly path: string;
  readonly name: string;
}

export interface Finding {
  readonly clause: Clause;
  readonly obeyed: readonly Evidence[];
  readonly proved: readonly Evidence[];
  /** Tests that are written but to do. */
  readonly todo: readonly Evidence[];
}

export interface Report {
  readonly findings: Readonly<Record<Standard, readonly Finding[]>>;
  /** Citations that name no clause, as `file: [MQTT5 …]`. */
  readonly mistaken: readonly string[];
}

type Kind = 'obeyed' | 'proved' | 'todo';

export function readConformance(files: readonly SourceFile[]): Report {
  const found = new Map<string, Record<Kind, Evidence[]>>();
  const mistaken: string[] = [];
  for (const standard of standards) {
    for (const { id } of clausesOf[standard]) found.set(keyOf(standard, id), { obeyed: [], proved: [], todo: [] });
  }
  for (const file of files) {
    const { found: citations, unreadable } = citationsIn(file.text);
    mistaken.push(...unreadable.map(citation => `${file.path}: ${citation}`));
    const place = placesIn(file);
    for (const { standard, clause, line } of citations) {
      const evidence = found.get(keyOf(standard, clause));
      if (!evidence) mistaken.push(`${file.path}: [MQTT${standard} ${clause}]`);
      const at = place(line);
      if (!evidence || !at) continue;
      const known = evidence[at.kind].some(({ path, name }) => path === file.path && name === at.name);
      if (!known) evidence[at.kind].push({ path: file.path, name: at.name });
    }
  }
  const findingsOf = (standard: Standard): Finding[] =>
    clausesOf[standard].map(clause => {
      const { obeyed, proved, todo } = found.get(keyOf(standard, clause.id)) ?? { obeyed: [], proved: [], todo: [] };
      return { clause, obeyed, proved, todo };
    });
  return { findings: { '311': findingsOf('311'), '5': findingsOf('5') }, mistaken };
}

export function keyOf(standard: Standard, id: string): string {
  return `MQTT${standard} ${id}`;
}

/** What a line of that file is evidence of. */
function placesIn({ path, text }: SourceFile): (line: number) => { kind: Kind; name: string } | undefined {
  const lines = text.split('\n');
  if (path.endsWith('.test.ts')) {
    const tests = testsIn(text);
    return line => {
      const test = tests.find(({ fromLine, toLine }) => fromLine <= line && line <= toLine);
      return test && { kind: test.counts ? 'proved' : 'todo', name: test.name };
    };
  }
  if (vectorTables.includes(path)) {
    return line => ({ kind: 'proved', name: rowNameAt(lines[line]) ?? symbolAt(lines, line) ?? '' });
  }
  if (testTools.test(path)) return () => undefined;
  return line => ({ kind: 'obeyed', name: symbolAt(lines, line) ?? '' });
}

/** Clauses that need a test and have none, as `MQTT5 3.1.2-4`. */
export function openClauses(report: Report): string[] {
  return allFindings(report).flatMap(([standard, { clause, proved }]) =>
    needsTest(clause) && proved.length === 0 ? [keyOf(standard, clause.id)] : [],
  );
}

function allFindings(report: Report): [Standard, Finding][] {
  return standards.flatMap(standard => report.findings[standard].map((one): [Standard, Finding] => [standard, one]));
}

const titles: Readonly<Record<Standard, string>> = { '311': 'MQTT 3.1.1', '5': 'MQTT 5.0' };
const standardUrls: Readonly<Record<Standard, string>> = {
  '311': 'https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html',
  '5': 'https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html',
};

export function renderConformance(report: Report): string {
  return `${[
    '# MQTT conformance',
    '',
    '<!-- Written by `npm run conformance`: change the sources, not this file. -->',
    '',
    'Every numbered normative statement of both standards, what it asks for in our words, where the code cites it and',
    'the tests that cite it. A vector is a row of bytes beside the packet it must be, run by `decode.test.ts`,',
    '`encode.test.ts` and `codec.test.ts`. What only a client must do needs no test here; many have one all the same,',
    'of the gateway that insists on it or of the client in `src/device`.',
    '',
    '| Standard | Clauses | To prove | Proved | Open | Of the client | Do not apply |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...standards.map(standard => summaryRow(standard, report.findings[standard])),
    '',
    ...openSection(report),
    ...uncitedSection(report),
    ...standards.flatMap(standard => tableOf(standard, report.findings[standard])),
  ].join('\n')}\n`;
}

function summaryRow(standard: Standard, findings: readonly Finding[]): string {
  const needed = findings.filter(({ clause }) => needsTest(clause));
  const open = needed.filter(({ proved }) => proved.length === 0);
  const exempt = findings.filter(({ clause }) => clause.exemption !== undefined);
  const name = `[${titles[standard]}](${standardUrls[standard]})`;
  const ofClient = findings.length - needed.length - exempt.length;
  const counts = [findings.length, needed.length, needed.length - open.length, open.length, ofClient, exempt.length];
  return row([name, ...counts.map(String)]);
}

function openSection(report: Report): string[] {
  const open = allFindings(report).filter(([, { clause, proved }]) => needsTest(clause) && proved.length === 0);
  if (open.length === 0) return [];
  return [
    `## Open: ${open.length} without a test`,
    '',
    '| Clause | What | To do |',
    '| --- | --- | --- |',
    ...open.map(([standard, { clause, todo }]) => row([keyOf(standard, clause.id), clause.what, listed(todo)])),
    '',
  ];
}

/** Proved, but a reader of the code is not told why it is so. */
function uncitedSection(report: Report): string[] {
  const uncitedIn = (standard: Standard) =>
    report.findings[standard].filter(
      ({ clause, obeyed, proved }) => needsTest(clause) && proved.length > 0 && obeyed.length === 0,
    );
  const count = standards.reduce((sum, standard) => sum + uncitedIn(standard).length, 0);
  if (count === 0) return [];
  return [
    `## To cite: ${count} proved that no code names where it obeys them`,
    '',
    ...standards.map(
      standard =>
        `- ${titles[standard]}: ${uncitedIn(standard)
          .map(({ clause }) => clause.id)
          .join(', ')}`,
    ),
    '',
  ];
}

function tableOf(standard: Standard, findings: readonly Finding[]): string[] {
  return [
    `## ${titles[standard]}`,
    '',
    '| Clause | Who | What | Obeyed in | Proved by |',
    '| --- | --- | --- | --- | --- |',
    ...findings.map(({ clause, obeyed, proved }) => {
      const { id, who, what } = clause;
      const proof = proved.length > 0 ? listed(proved) : exemptionOf(clause) || '**open**';
      return row([id, who, what, listed(obeyed), proof]);
    }),
    '',
  ];
}

/** Grouped by file. Line numbers would be wrong after the next change, so there are none. */
function listed(evidence: readonly Evidence[]): string {
  const byPath = Object.entries(Object.groupBy(evidence, ({ path }) => path));
  return byPath
    .map(([path, ofFile = []]) => {
      const names = ofFile.map(({ name }) => name).filter(name => name !== '');
      return [`[${path.slice(path.lastIndexOf('/') + 1)}](../${path})`, names.join('; ')].filter(Boolean).join(' ');
    })
    .join('<br>');
}

function row(cells: readonly string[]): string {
  return `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
