/** Dead letters as a person reads them. */
import type { LetterCount, LetterSummary, RedriveState } from '../app/index.ts';
import type { ShownLetter, ShownPayload } from '../http/index.ts';
import { whole } from './progress.ts';
import { printable } from './report.ts';

const payloadCharactersMax = 4_000; // ours: the rest is for --json

export function timeText(atMs: number): string {
  return new Date(atMs).toLocaleString('sv-SE');
}

/** Two lines: what and whose, then why. */
export function letterLine(letter: LetterSummary): string {
  const { id, consumer, kind, thingName, topic, error, attempts, redrives, receivedAtMs, editedAtMs } = letter;
  const notes = [
    `${attempts}×`,
    ...(redrives > 0 ? [`redriven ${redrives}×`] : []),
    ...(editedAtMs === undefined ? [] : ['edited']),
  ];
  const about = [thingName, topic ?? kind].filter(part => part !== undefined).map(part => printable(part));
  return [
    `${timeText(receivedAtMs)}  ${id}  ${printable(consumer)}  ${about.join('  ')}  (${notes.join(', ')})`,
    `    ${printable(error.code)}: ${printable(error.message)}`,
  ].join('\n');
}

export function letterText(letter: ShownLetter): string {
  const { error, cause } = letter;
  const facts: [string, string | number | undefined][] = [
    ['id', letter.id],
    ['kind', letter.kind],
    ['consumer', letter.consumer],
    ['function', letter.functionName],
    ['thing', letter.thingName],
    ['topic', letter.topic],
    ['event', letter.eventId],
    ['request', letter.requestId],
    ['caused by', cause && [cause.originId, ...cause.path].join(' → ')],
    ['received', timeText(letter.receivedAtMs)],
    ['tried', `${letter.attempts}×, ${timeText(letter.firstAttemptAtMs)} to ${timeText(letter.lastAttemptAtMs)}`],
    ['redriven', redrivenText(letter)],
    ['error', `${error.message}  [${error.code}]`],
    ['to do', error.fix],
    ['given up', error.condition],
    ['edited', letter.editedAtMs === undefined ? undefined : timeText(letter.editedAtMs)],
  ];
  const lines = facts.flatMap(([name, value]) =>
    value === undefined ? [] : [`${name.padEnd(10)} ${wholeLine(String(value))}`],
  );
  const { stack } = error;
  const sections = [
    ...(letter.original === undefined ? [] : [`original (${letter.kind})\n${payloadText(letter.original)}`]),
    `payload, ${whole(letter.payloadBytes)} bytes\n${payloadText(letter.payload)}`,
    ...(stack === undefined
      ? []
      : [
          `stack\n${stack
            .split('\n')
            .slice(1)
            .map(line => printable(line))
            .join('\n')}`,
        ]),
  ];
  return [lines.join('\n'), ...sections].join('\n\n');
}

export function countsText(counts: readonly LetterCount[], { lettersMax }: { readonly lettersMax: number }): string {
  const some = counts.filter(({ letters, notKept }) => letters + notKept > 0);
  if (some.length === 0) return 'There are no dead letters.';
  return some
    .map(({ consumer, letters, bytes, notKept }) => {
      const left = notKept === 0 ? '' : `, ${whole(notKept)} more not kept`;
      return `${printable(consumer)}: ${whole(letters)} of at most ${whole(lettersMax)}, ${(bytes / 1e6).toFixed(1)} MB${left}`;
    })
    .join('\n');
}

export function redriveText(state: RedriveState): string {
  const { handled, failed, refused, failures, reason } = state;
  const lines = [
    `${whole(handled)} handled, ${whole(failed)} failed again, ${whole(refused)} not tried.${reason === undefined ? '' : ` Stopped: ${reason}`}`,
    ...failures.slice(-failuresShown).map(({ id, code, message }) => `  ${id}  ${code}: ${printable(message)}`),
  ];
  if (failures.length > failuresShown) lines.push('  … and more: `mimamori dead-letters list`');
  return lines.join('\n');
}

const failuresShown = 10; // ours

function redrivenText({ redrives, lastRedriveAtMs }: LetterSummary): string | undefined {
  return redrives === 0 ? undefined : `${redrives}× in vain, last ${timeText(lastRedriveAtMs ?? 0)}`;
}

/** As `printable`, but all of it: who looks at one letter wants to see it. */
function wholeLine(text: string): string {
  return text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '·');
}

/** Without anything that could steer a terminal; line breaks of the payload stay. */
function payloadText({ text, base64 }: ShownPayload): string {
  if (text === undefined) return `${String(base64).slice(0, payloadCharactersMax)}  (base64)`;
  const shown = text.slice(0, payloadCharactersMax).replaceAll(/[^\P{C}\n]|[\p{Zl}\p{Zp}]/gu, '·');
  return text.length > payloadCharactersMax ? `${shown}\n… --json shows all of it` : shown;
}
