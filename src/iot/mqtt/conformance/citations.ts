import { type Standard, standards } from './clause.ts';

/**
 * Finds citations such as `[MQTT5 3.1.2-4]` in TypeScript, and what they stand at: a test, or a function that obeys.
 * It reads lines as the formatter leaves them and does not parse: indentation tells where a test ends.
 */

export interface Citation {
  readonly standard: Standard;
  readonly clause: string;
  /** From 0. */
  readonly line: number;
}

export interface Citations {
  readonly found: readonly Citation[];
  /** What looks like a citation and cannot be read, as it is written. */
  readonly unreadable: readonly string[];
}

const citationForm = /\[MQTT(\d+) ([^\]]+)\]/g;
const clauseForm = /^\d+\.\d+\.\d+-\d+$/;
/** A section (`3.1.2.11.4`) or table without a clause: explains, proves nothing. */
const placeForm = /^(\d+(\.\d+){1,4}|table \d+[.-]\d+)$/;

/** Parts are separated by commas; `-15` repeats the section before it, and `a-1 … a-3` counts from one to the other. */
export function citationsIn(text: string): Citations {
  const found: Citation[] = [];
  const unreadable: string[] = [];
  text.split('\n').forEach((content, line) => {
    for (const [whole, version, list] of content.matchAll(citationForm)) {
      const standard = standards.find(one => one === version);
      const clauses = standard && clausesOf(list);
      if (standard === undefined || clauses === undefined) unreadable.push(whole);
      else for (const clause of clauses) found.push({ standard, clause, line });
    }
  });
  return { found, unreadable };
}

function clausesOf(list: string): string[] | undefined {
  const clauses: string[] = [];
  let section = '';
  for (const part of list.split(', ')) {
    const [first, last, ...more] = part.split(' … ').map(end => (end.startsWith('-') ? section + end : end));
    if (more.length > 0) return undefined;
    if (clauseForm.test(first) && (last === undefined || clauseForm.test(last))) {
      section = sectionOf(first);
      if (last !== undefined && sectionOf(last) !== section) return undefined;
      for (let n = numberOf(first); n <= numberOf(last ?? first); n++) clauses.push(`${section}-${n}`);
    } else if (!placeForm.test(first) || (last !== undefined && !placeForm.test(last))) return undefined;
  }
  return clauses;
}

function sectionOf(clause: string): string {
  return clause.slice(0, clause.indexOf('-'));
}

function numberOf(clause: string): number {
  return Number(clause.slice(clause.indexOf('-') + 1));
}

export interface TestPlace {
  /** Behind that of its `describe`, without citations. */
  readonly name: string;
  readonly fromLine: number;
  /** Inclusive. */
  readonly toLine: number;
  /** False for one that is skipped or to do: it proves nothing. */
  readonly counts: boolean;
}

const testForm = /^(\s*)(it|describe)(?:\.(todo|skip|only))?\(/;

/** The tests of a file in order. What stands before a test inside of its `describe` counts as the test's own. */
export function testsIn(text: string): TestPlace[] {
  const lines = text.split('\n');
  const suites: TestPlace[] = [];
  const tests: TestPlace[] = [];
  lines.forEach((line, at) => {
    const [head, spaces, kind, mode] = testForm.exec(line) ?? [];
    if (head === undefined) return;
    const indent = spaces.length;
    while (suites.length > 0 && (suites.at(-1)?.toLine ?? 0) < at) suites.pop();
    const toLine = endOf(lines, at, indent);
    const call = lines
      .slice(at, toLine + 1)
      .join('\n')
      .slice(head.length);
    const { name, behind } = readName(call);
    const suite = suites.at(-1);
    const isPutOff = mode === 'todo' || mode === 'skip' || /^\s*,\s*\{[^}]*\b(todo|skip)\b/.test(behind);
    const counts = !isPutOff && suite?.counts !== false;
    if (kind === 'describe') {
      suites.push({ name: suite ? `${suite.name}, ${name}` : name, fromLine: at, toLine, counts });
      return;
    }
    const previous = tests.at(-1);
    const afterPrevious = previous ? previous.toLine + 1 : 0;
    tests.push({
      name: suite ? `${suite.name}: ${name}` : name,
      fromLine: suite ? Math.max(suite.fromLine, afterPrevious) : at,
      toLine,
      counts,
    });
  });
  return tests;
}

/** The first line behind `at` that is indented no more: it ends the call, or is the next thing already. */
function endOf(lines: readonly string[], at: number, indent: number): number {
  for (let line = at + 1; line < lines.length; line++) {
    const text = lines[line].trimStart();
    if (text === '' || lines[line].length - text.length > indent) continue;
    return /^[})]/.test(text) ? line : line - 1;
  }
  return lines.length - 1;
}

/** The literal a call begins with, and what comes behind it; what is filled in at run time becomes `…`. */
function readName(call: string): { name: string; behind: string } {
  const literal = /^\s*(['"`])((?:\\.|(?!\1)[\s\S])*)\1/.exec(call);
  if (!literal) return { name: call.slice(0, call.indexOf(',')).trim(), behind: call };
  const name = literal[2].replaceAll(/\$\{[^}]*\}/g, '…').replaceAll(/\\(.)/g, '$1');
  return { name: withoutCitations(name), behind: call.slice(literal[0].length) };
}

export function withoutCitations(text: string): string {
  return text.replaceAll(citationForm, '').replaceAll(/\s+/g, ' ').trim();
}

const declarationForm =
  /^(\s*)(?:export )?(?:default )?(?:abstract )?(?:async )?(?:function\*? (\w+)|(?:class|interface|type|enum) (\w+)|const (\w+)|(?:readonly |static |get |set |async )*(#?\w+)(?:\(.*\{$|\??: .*;$| = .*;$))/;
const statementWords = /^(if|for|while|switch|catch|return|else|do|try|case|default|await|throw|assert)$/;

/** The function, class, constant or property that a line belongs to; a comment belongs to what it stands above. */
export function symbolAt(lines: readonly string[], line: number): string | undefined {
  const isComment = (text: string) => /^\s*(\/\/|\/\*|\*)/.test(text);
  let at = line;
  while (at < lines.length && isComment(lines[at])) at++;
  const indent = indentOf(lines[at] ?? '');
  if (at !== line && declaredBy(lines[at] ?? '')) return declaredBy(lines[at]);
  for (let before = at; before >= 0; before--) {
    const isOutside = before === at ? indent <= 2 : indentOf(lines[before]) < indent && indentOf(lines[before]) <= 2;
    if (!isOutside || lines[before].trim() === '') continue;
    const name = declaredBy(lines[before]);
    if (name !== undefined) return name;
  }
  return undefined;
}

function declaredBy(line: string): string | undefined {
  const [, , ...names] = declarationForm.exec(line.replace(/\s*\/\/.*$/, '')) ?? [];
  const name = names.find(one => one !== undefined);
  return name !== undefined && statementWords.test(name) ? undefined : name;
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}

/** The text in quotes around a citation, without it: the name of a row in a table of vectors. */
export function rowNameAt(line: string): string | undefined {
  const quoted = [...line.matchAll(/(['`])((?:\\.|(?!\1).)*)\1/g)].find(([, , text]) => /\[MQTT/.test(text));
  return quoted && withoutCitations(quoted[2].replaceAll(/\$\{[^}]*\}/g, '…'));
}
