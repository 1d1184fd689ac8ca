/** The story of a message, for somebody who reads it at three in the morning: what came, then who did what with it. */
import type { ExplainedConsumer, ExplainedMessage, Explanation, Trace } from '../app/index.ts';
import { timeText } from './dead-letters-text.ts';
import { whole } from './progress.ts';
import { printable } from './report.ts';

const marks: Readonly<Record<ExplainedConsumer['fate'], string>> = {
  handled: 'HANDLED',
  filtered: 'PASSED BY',
  waiting: 'WAITING',
  deadLettered: 'DEAD-LETTERED',
  expired: 'EXPIRED',
  settled: 'DONE',
};

/** What somebody looks for comes first. Who passes it by is named in one line. */
const worstFirst: readonly ExplainedConsumer['fate'][] = ['deadLettered', 'waiting', 'expired', 'settled', 'handled'];

export function explanationText({ message, consumers, neighbours }: Explanation): string {
  const concerned = worstFirst.flatMap(fate => consumers.filter(consumer => consumer.fate === fate));
  const uninterested = consumers.filter(({ fate }) => fate === 'filtered').map(({ consumer }) => printable(consumer));
  const others = neighbours.map(
    ({ id, receivedAtMs, topic }) => `  ${preciseTime(receivedAtMs)}  ${id}  ${printable(topic ?? '')}`,
  );
  return [
    ...messageLines(message),
    '',
    ...concerned.flatMap(consumer => [...consumerLines(consumer), '']),
    ...(uninterested.length === 0 ? [] : [`${marks.filtered}  ${uninterested.join(', ')}: of no interest to them`, '']),
    ...(consumers.length === 0 ? ['No consumer has begun.'] : []),
    ...(others.length === 0 ? [] : ['Other messages of the thing around that time:', ...others]),
  ]
    .join('\n')
    .trimEnd();
}

function messageLines(message: ExplainedMessage): string[] {
  const { id, thingName, partitionKey, receivedAtMs, topic, payloadBytes, payload, cause, receivedInMinute } = message;
  const key = partitionKey === thingName ? '' : `, keyed by ${printable(partitionKey)}`;
  return [
    `${preciseTime(receivedAtMs)}  ${printable(thingName)}  ${printable(topic ?? '(no message of ours)')}`,
    `  stored as ${id}${key}; ${whole(payloadBytes)} bytes: ${printable(payload)}`,
    ...(cause === undefined
      ? []
      : [`  made by functions: ${[cause.originId, ...cause.path].map(part => printable(part)).join(' → ')}`]),
    ...(receivedInMinute === undefined ? [] : [`  one of ${whole(receivedInMinute)} of the thing in that minute`]),
  ];
}

function consumerLines({
  consumer,
  fate,
  why,
  recordsBehind,
  behindMs,
  letter,
  traces,
  minute,
}: ExplainedConsumer): string[] {
  const behind = behindMs === undefined ? [] : [`  it is ${secondsText(behindMs)} and ${recordsBehind} records behind`];
  const counted = minute && Object.entries(minute).map(([name, count]) => `${count} ${name}`);
  return [
    `${marks[fate]}  ${printable(consumer)}`,
    `  ${printable(why)}`,
    ...behind,
    ...(letter === undefined ? [] : [`  letter ${letter.id}: mimamori dead-letters show ${letter.id}`]),
    ...traces.flatMap(traceLines),
    ...(counted === undefined || traces.length > 0 ? [] : [`  of the thing in that minute: ${counted.join(', ')}`]),
  ];
}

function traceLines(trace: Trace): string[] {
  const { requestId, outcome, attempt, atMs, durationMs, error, count, effects = [], made = {} } = trace;
  const batch = count > 1 ? `, with ${whole(count - 1)} others` : '';
  const failed = error === undefined ? '' : `: ${printable(error.message)} [${printable(error.code)}]`;
  const all = Object.values(made).reduce((sum, each) => sum + each, 0);
  const left = all > effects.length && effects.length > 0 ? [`      … ${all} in all`] : [];
  return [
    `    ${preciseTime(atMs)}  attempt ${attempt} ${outcome} in ${durationMs} ms${batch}${failed}  (request ${requestId})`,
    ...effects.map(effect => `      ${printable(effect)}`),
    ...left,
  ];
}

function secondsText(ms: number): string {
  return ms < 120_000 ? `${Math.round(ms / 100) / 10} s` : `${whole(ms / 60_000)} min`;
}

function preciseTime(atMs: number): string {
  return `${timeText(atMs)}.${String(atMs % 1_000).padStart(3, '0')}`;
}
