/**
 * Bad requests, generated from good ones, to an independent implementation and to our checks. Where they differ the
 * reason stands in a list: dynalite 4 has the service's words of some years ago.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkRequest, type OperationName, wireFormat } from '../../../platform/table/index.ts';
import { type DynaliteClient, errorMessage, errorName, openDynalite } from './dynalite-client.ts';
import { differences } from './dynalite-differences.ts';
import { badRequests } from './generated-requests.ts';
import { checkLegacy, translateLegacy } from './index.ts';

/** `accepted`, or name and message of a refusal. */
type Verdict = readonly [string, string];

describe('checks of requests, beside dynalite', () => {
  it('refuse the same in the same words, but for known differences', async t => {
    const dynalite = await openDynalite();
    t.after(() => dynalite.close());
    const requests = badRequests();
    const unexplained: string[] = [];
    const explained = new Set<string>();
    let refused = 0;
    await Promise.all(
      requests.map(async ({ name, input }) => {
        const theirs = await verdictOf(dynalite, name, input);
        const ours = ourVerdict(name, structuredClone(input));
        if (ours[0] !== 'accepted') refused++;
        if (ours[0] === theirs[0] && withoutEchoes(ours[1]) === withoutEchoes(theirs[1])) return;
        const difference = differences.find(each => each.explains({ name, input, ours, theirs }));
        if (difference !== undefined) explained.add(difference.reason);
        else unexplained.push([name, JSON.stringify(input).slice(0, 300), ...ours, ...theirs].join('\n  '));
      }),
    );
    assert.ok(requests.length >= 5_000 && refused >= 4_000, `${requests.length} requests, ${refused} refused`);
    assert.deepEqual(unexplained.slice(0, 20), [], `${unexplained.length} of ${requests.length} differ`);
    const unused = differences.filter(({ reason }) => !explained.has(reason));
    assert.deepEqual(
      unused.map(({ reason }) => reason),
      [],
    );
  });
});

function ourVerdict(name: OperationName, input: unknown): Verdict {
  try {
    translateLegacy(name, checkRequest(name, input, { format: wireFormat }, checkLegacy));
    return ['accepted', ''];
  } catch (thrown) {
    assert.ok(thrown instanceof Error);
    return [thrown.name, thrown.message];
  }
}

/** What is refused for the state of tables has passed the checks. */
async function verdictOf(dynalite: DynaliteClient, operation: OperationName, input: unknown): Promise<Verdict> {
  const { status, body } = await dynalite.send(operation, input);
  const name = errorName(body);
  if (status === 200 || (name !== 'ValidationException' && name !== 'SerializationException')) return ['accepted', ''];
  return [name, errorMessage(body)];
}

/** dynalite repeats values as JSON, DynamoDB as Java prints them. */
function withoutEchoes(message: string): string {
  return message.replace(/Value ('[\s\S]*?'|null) at '/g, "Value … at '");
}
