/** How commands ask a running backend. Who can read its data directory is its operator. */
import { Option } from 'commander';
import { OperatorTokens } from '../http/operator/operator.ts';
import { loadSigningKey } from '../http/tokens.ts';
import { systemClock } from '../kernel/clock.ts';
import { MimamoriError, messageOf } from '../kernel/errors.ts';
import { systemFiles } from '../kernel/files.ts';
import { systemRandom } from '../kernel/random.ts';
import { readAddress } from '../local/address-file.ts';

export interface OperatorTarget {
  readonly data: string;
  readonly url?: string;
}

export interface OperatorQuestion {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly body?: unknown;
  /** Ends the wait for the answer, and what is still to come of it. Default: 10 s for the whole answer. */
  readonly signal?: AbortSignal;
}

export const urlOption = () => new Option('--url <url>', 'where its API is; default: as the data directory says');

/** Throws `operator.notRunning`, `operator.notAnswering`, and what the backend refuses with. */
export async function askOperator<Answer>(
  target: OperatorTarget,
  path: string,
  question: OperatorQuestion = {},
): Promise<Answer> {
  const answer = await openAnswer(target, path, question);
  const body: unknown = await answer.json().catch(() => undefined);
  if (body === undefined) throw notAnswering(answer.url, new Error('the answer is not JSON'));
  return body as Answer; // Our own route's.
}

/** The same for an answer of JSON lines that come one by one, perhaps without an end. */
export async function* followOperator<Line>(
  target: OperatorTarget,
  path: string,
  question: OperatorQuestion = {},
): AsyncGenerator<Line> {
  const answer = await openAnswer(target, path, question);
  let rest = '';
  for await (const text of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') yield JSON.parse(line) as Line; // Our own route's.
  }
}

async function openAnswer({ data, url }: OperatorTarget, path: string, question: OperatorQuestion): Promise<Response> {
  const address = url ?? (await readAddress(systemFiles, data).catch(() => undefined));
  if (address === undefined || !(await systemFiles.list(data)).includes('signing-key')) throw notRunning(data);
  const key = await loadSigningKey(systemFiles, data, systemRandom);
  const token = await new OperatorTokens(key, systemClock).issue();
  const { method = 'GET', body, signal = AbortSignal.timeout(answerMsMax) } = question;
  const headers: Record<string, string> = { Authorization: `Bearer ${token}` };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const init = { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) };
  const ask = async () => fetch(new URL(path, address), init); // An address that is none rejects, too.
  const answer = await ask().catch(cause => {
    throw question.signal?.aborted ? cause : notAnswering(address, cause);
  });
  if (answer.ok) return answer;
  const problem: unknown = await answer.json().catch(() => undefined);
  const { code, detail, fix } = (problem ?? {}) as Partial<Record<'code' | 'detail' | 'fix', unknown>>; // If it is one.
  if (typeof code !== 'string') throw notAnswering(address, new Error(`status ${answer.status}`));
  throw new MimamoriError({ code, message: String(detail), fix: String(fix) });
}

const answerMsMax = 10_000;

const notRunning = (data: string) =>
  new MimamoriError({
    code: 'operator.notRunning',
    message: `No backend runs on ${data}.`,
    fix: 'Start one, or give its folder with --data: what is asked is known only while it runs.',
  });

const notAnswering = (address: string, cause: unknown) =>
  new MimamoriError({
    code: 'operator.notAnswering',
    message: `${address} does not answer as a backend does: ${messageOf(cause)}.`,
    fix: 'Check that the backend runs, and --url if it was given.',
    cause,
  });
