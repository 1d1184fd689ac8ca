/** A log line as a person reads it: one line, then its error indented. Nothing in it can steer a terminal. */
import type { LoggedError, LogLine } from '../ops/index.ts';
import { printable } from './report.ts';

const colorOf = { debug: 90, info: 36, warn: 33, error: 31 } as const; // grey, cyan, yellow, red
const grey = 90;
const textCharactersMax = 4_000; // ours: of one line, as the store bounds it

export function logText(line: LogLine, { hasColors }: { hasColors: boolean }): string {
  const paint = (code: number, text: string) => (hasColors ? `\u001b[${code}m${text}\u001b[0m` : text);
  const { level, channel, functionName, thingName } = line;
  const color = colorOf[level] ?? colorOf.info; // A line of a later release may have others.
  const parts = [
    paint(grey, timeText(line.time)),
    paint(color, String(level).toUpperCase().padEnd(5)),
    channel === 'app' ? undefined : paint(grey, `[${shown(channel)}]`),
    functionName === undefined ? undefined : shown(functionName),
    thingName === undefined ? undefined : paint(grey, shown(thingName)),
    shown(line.message),
    paint(grey, factsText(line)),
  ];
  const first = parts.filter(part => part !== undefined && part !== '').join('  ');
  const rest = line.error === undefined ? [] : errorLines(line.error, '    ');
  return [first.trimEnd(), ...rest.map(text => paint(grey, text))].join('\n');
}

/** Date and time in the reader's zone, to the millisecond. */
function timeText(time: string): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return shown(time);
  return `${date.toLocaleDateString('sv-SE')} ${date.toLocaleTimeString('sv-SE')}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

function factsText({ facts = {}, requestId }: LogLine): string {
  const all = requestId === undefined ? facts : { ...facts, requestId };
  return Object.entries(all)
    .map(
      ([name, value]) => `${shown(name)}=${shown(typeof value === 'string' ? quoted(value) : JSON.stringify(value))}`,
    )
    .join(' ');
}

function quoted(text: string): string {
  return /^[\w.:/@+-]+$/.test(text) ? text : JSON.stringify(text);
}

function errorLines({ code, name, message, fix, stack, cause }: LoggedError, indent: string): string[] {
  const said = [name, message].filter(part => part !== undefined).map(shown);
  const lines = [`${indent}${said.join(': ')} [${shown(code)}]`];
  if (fix !== undefined) lines.push(`${indent}${shown(fix)}`);
  for (const frame of stack?.split('\n') ?? []) lines.push(`${indent}  ${shown(frame)}`);
  const causes = cause === undefined || typeof cause === 'string' ? [] : Array.isArray(cause) ? cause : [cause];
  for (const behind of causes) lines.push(`${indent}caused by`, ...errorLines(behind, `${indent}  `));
  return lines;
}

function shown(text: unknown): string {
  return printable(String(text), textCharactersMax);
}
