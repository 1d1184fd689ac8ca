/** Where our checks are meant to differ from dynalite 4, and why. */
import type { OperationName } from '../../../platform/table/index.ts';

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
const newerEnums =
  /Failed to satisfy constraint: Member must satisfy enum value set: \[(ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE|ALL, OR)\]|ReturnItemCollectionMetrics can only be SIZE or NONE/;
const wrapped = /^ExpressionAttributeValues contains invalid value: (.*) for key \S+$/;

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
    explains: ({ ours, theirs }) => bare(ours[1]) === `${numberText}: ` && theirs[1].startsWith(numberText),
  },
  {
    reason: 'expressions are read by the operations, after these checks',
    explains: ({ ours, theirs }) =>
      ours[0] === 'accepted' &&
      /^(Invalid (\w+)Expression|Value provided in Expression\w+ unused|KeyConditionExpressions? )/.test(theirs[1]),
  },
  {
    reason: 'an alias of nothing is refused before the expression that has it',
    explains: ({ ours }) => /^ExpressionAttributeNames contains invalid value: /.test(bare(ours[1])),
  },
  {
    reason: 'single writes have come to list their enums otherwise',
    explains: ({ name, ours, theirs }) =>
      (singleWrites.includes(name) || name === 'Query') &&
      newerEnums.test(ours[1]) &&
      theirs[1].includes('enum value set'),
  },
  {
    reason: 'newer wording prints what is twice in a set in quotes',
    explains: ({ ours, theirs }) =>
      ours[1].includes('contains duplicates') && theirs[1].includes('contains duplicates') && ours[1] !== theirs[1],
  },
  {
    reason: 'newer wording does not say which expression value it was',
    explains: ({ name, ours, theirs }) =>
      name !== 'Scan' && wrapped.exec(theirs[1])?.[1] === bare(ours[1]).replace(/: $/, ''),
  },
  {
    reason: 'ConditionalOperator needs two conditions to join',
    explains: ({ ours }) => /^ConditionalOperator (can|cannot) /.test(bare(ours[1])),
  },
  {
    reason: 'the values of a list that is expected are looked at',
    explains: ({ input, ours, theirs }) =>
      input.Expected !== undefined && /Supplied AttributeValue|numeric value/.test(ours[1]) && theirs[0] === 'accepted',
  },
  {
    reason: 'an update has one of three actions',
    explains: ({ ours }) => ours[1].includes("member.action' failed to satisfy constraint: Member must satisfy enum"),
  },
  {
    reason: 'Select goes with what is projected',
    explains: ({ ours, theirs }) => /when choosing to get/.test(ours[1]) && theirs[0] === 'accepted',
  },
  {
    reason: 'some reads have come to name a limit as the request does',
    explains: ({ name, ours, theirs }) =>
      (name === 'Query' || name === 'BatchGetItem') &&
      ours[1].startsWith(`${envelope}Value at '`) &&
      ours[1].split(' failed ')[1] === theirs[1].split(' failed ')[1],
  },
  {
    reason: 'a batch of nothing lacks its parameter',
    explains: ({ ours }) => ours[1] === 'The requestItems parameter is required for BatchWriteItem',
  },
  {
    reason: 'calls on tables have come to word the length of a name as all others do',
    explains: ({ ours, theirs }) =>
      theirs[1].startsWith('TableName must be at least 3 characters long') && ours[1].includes("at 'tableName' failed"),
  },
  {
    reason: 'the name of a key attribute has 1 to 255 characters [API reference, AttributeDefinition]',
    explains: ({ ours }) => /attributeDefinitions\.\d\.member\.attributeName' failed/.test(ours[1]),
  },
  {
    reason: 'what is wrong with global indexes is said before what is wrong with local ones',
    explains: ({ ours, theirs }) =>
      ours[1].includes('globalSecondaryIndexes') && sortedErrors(ours) === sortedErrors(theirs),
  },
  {
    reason: 'a projection that includes attributes names them',
    explains: ({ ours }) => ours[1].endsWith('ProjectionType is INCLUDE, but NonKeyAttributes is not specified'),
  },
  {
    reason:
      'an index can be updated without its provisioned throughput [API reference, UpdateGlobalSecondaryIndexAction]',
    explains: ({ name, theirs }) =>
      name === 'UpdateTable' &&
      theirs[1].includes("update.provisionedThroughput' failed to satisfy constraint: Member must not be null"),
  },
  {
    reason: 'of two wrong types the first is told, and members stand in the order of newer captures',
    explains: ({ name, ours, theirs }) =>
      ['DeleteItem', 'UpdateItem', 'CreateTable'].includes(name) &&
      ours[0] === 'SerializationException' &&
      theirs[0] === 'SerializationException',
  },
];

function sortedErrors([, message]: readonly [string, string]): string {
  return message
    .slice(message.indexOf(':'))
    .split(/[:;] (?=Value )/)
    .sort()
    .join();
}
