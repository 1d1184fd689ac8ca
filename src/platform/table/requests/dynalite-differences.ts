/** Where our checks are meant to differ from dynalite 4, and why. */
import type { OperationName } from './index.ts';

export interface Pair {
  readonly name: OperationName;
  readonly input: Readonly<Record<string, unknown>>;
  readonly ours: readonly [string, string];
  readonly theirs: readonly [string, string];
}

export interface Difference {
  readonly reason: string;
  explains(pair: Pair): boolean;
}

const singleWrites: readonly OperationName[] = ['PutItem', 'DeleteItem', 'UpdateItem'];
const envelope = '1 validation error detected: ';
const bare = (message: string) => (message.startsWith(envelope) ? message.slice(envelope.length) : message);
const numberText = 'The parameter cannot be converted to a numeric value';

export const differences: readonly Difference[] = [
  {
    reason: 'single writes have come to say everything inside an envelope',
    explains: ({ name, ours, theirs }) => singleWrites.includes(name) && ours[1] === `${envelope}${theirs[1]}`,
  },
  {
    reason: 'an empty table name is told that one character is asked for',
    explains: ({ input, ours }) => input.TableName === '' && ours[1].includes('length greater than or equal to 1'),
  },
  {
    reason: 'an attribute without a name is refused',
    explains: ({ ours }) => bare(ours[1]) === 'Empty attribute name',
  },
  {
    reason: 'a number that is no text at all is repeated as well',
    explains: ({ ours, theirs }) => bare(ours[1]) === `${numberText}: ` && theirs[1] === numberText,
  },
  {
    reason: 'expressions are read by the operations, after these checks',
    explains: ({ ours, theirs }) =>
      ours[0] === 'accepted' &&
      /^(Invalid (\w+)Expression|Value provided in Expression\w+ unused|KeyConditionExpressions? )/.test(theirs[1]),
  },
];
