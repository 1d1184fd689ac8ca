/** TransactGetItems and TransactWriteItems. Actions are checked one by one, whatever is wrong with them. */
import { parsedCondition, parsedProjection, parsedUpdate } from '../expressions/cache.ts';
import type { Parsed } from '../expressions/syntax.ts';
import { tableLimits } from '../limits.ts';
import { checkAliases, checkExpressionParameters } from './parameters.ts';
import {
  attributeMap,
  type CheckContext,
  key,
  type Members,
  nameMap,
  type Request,
  type RequestDescription,
  requiredTable,
  returnConsumedCapacity,
  returnItemCollectionMetrics,
  returnValuesOnFailure,
  type StructureShape,
  text,
} from './shapes.ts';
import { checkValues, isBeyondNewerLayer, refusal, type WireValues } from './values.ts';

const conditionMembers: Members = {
  ExpressionAttributeNames: nameMap,
  ExpressionAttributeValues: attributeMap,
  ReturnValuesOnConditionCheckFailure: returnValuesOnFailure,
};

const writeMembers: Readonly<Record<string, StructureShape>> = {
  ConditionCheck: {
    type: 'structure',
    name: 'ConditionCheck',
    members: {
      Key: key,
      TableName: requiredTable,
      ConditionExpression: { ...text, required: true },
      ...conditionMembers,
    },
  },
  Put: {
    type: 'structure',
    name: 'Put',
    members: { Item: key, TableName: requiredTable, ConditionExpression: text, ...conditionMembers },
  },
  Delete: {
    type: 'structure',
    name: 'Delete',
    members: { Key: key, TableName: requiredTable, ConditionExpression: text, ...conditionMembers },
  },
  Update: {
    type: 'structure',
    name: 'Update',
    members: {
      Key: key,
      UpdateExpression: { ...text, required: true },
      TableName: requiredTable,
      ConditionExpression: text,
      ...conditionMembers,
    },
  },
};

const readMembers: Members = {
  Get: {
    type: 'structure',
    name: 'Get',
    required: true,
    members: { Key: key, TableName: requiredTable, ProjectionExpression: text, ExpressionAttributeNames: nameMap },
  },
};

const lengths = { lengthMin: 1, lengthMax: tableLimits.transactionItemsMax } as const;

export const transactionRequests = {
  TransactGetItems: {
    wording: 'older',
    members: {
      ReturnConsumedCapacity: returnConsumedCapacity,
      TransactItems: {
        type: 'list',
        required: true,
        ...lengths,
        of: { type: 'structure', name: 'TransactGetItem', members: readMembers },
      },
    },
    check({ TransactItems }, context) {
      checkActions(TransactItems, context, item => {
        const action = item.Get as Request; // a cast: types were checked, and it is required
        checkExpressionParameters(action, { expressions: ['ProjectionExpression'], legacy: [] }, context);
        return { action, values: action.Key };
      });
    },
  },
  TransactWriteItems: {
    wording: 'older',
    members: {
      ClientRequestToken: { type: 'string', lengthMin: 1, lengthMax: tableLimits.tokenCharactersMax },
      ReturnConsumedCapacity: returnConsumedCapacity,
      ReturnItemCollectionMetrics: returnItemCollectionMetrics,
      TransactItems: {
        type: 'list',
        required: true,
        ...lengths,
        of: { type: 'structure', name: 'TransactWriteItem', members: writeMembers },
      },
    },
    check({ TransactItems }, context) {
      checkActions(TransactItems, context, item => {
        const kinds = Object.keys(item);
        if (kinds.length === 0) {
          throw refusal(
            'Invalid Request: TransactWriteRequest should contain Delete or Put or Update request',
            context.wording,
          );
        }
        if (kinds.length > 1) {
          throw refusal('TransactItems can only contain one of Check, Put, Update or Delete', context.wording);
        }
        const action = item[kinds[0]] as Request; // a cast: types were checked
        const expressions = kinds[0] === 'Update' ? updateExpressions : ['ConditionExpression'];
        checkExpressionParameters(action, { expressions, legacy: [] }, context);
        return { action, values: action.Item ?? action.Key };
      });
    },
  },
} as const satisfies Record<string, RequestDescription>;

const updateExpressions = ['UpdateExpression', 'ConditionExpression'];

interface CheckedAction {
  readonly action: Request;
  /** Its item or key. */
  readonly values: unknown;
}

/**
 * The operation reads the expressions of all actions once this has found their values in order; only when it has not is
 * it asked here whether an earlier action has an expression to refuse.
 */
function checkActions(items: unknown, context: CheckContext, prepare: (item: Request) => CheckedAction): void {
  const before: Request[] = [];
  for (const item of items as readonly (Request | null)[]) {
    // a cast: types were checked
    try {
      const { action, values } = prepare(item ?? {});
      const isDeep = action.Key !== undefined && isBeyondNewerLayer({ Key: action.Key });
      if (isDeep) before.push(action); // such a key comes after the expressions beside it
      if (context.isWire) checkValues(values as WireValues, context.wording); // a cast: types were checked
      checkAliases(action, context);
      if (!isDeep) before.push(action);
    } catch (failure) {
      for (const action of before) checkExpressions(action, context);
      throw failure;
    }
  }
}

function checkExpressions(action: Request, { wording }: CheckContext): void {
  const parsed: Parsed<unknown>[] = [];
  const read = (name: string, parse: (expression: string) => Parsed<unknown>) => {
    const expression = action[name];
    if (typeof expression === 'string') parsed.push(parse(expression));
  };
  read('UpdateExpression', parsedUpdate);
  read('ConditionExpression', expression => parsedCondition('ConditionExpression', expression));
  read('ProjectionExpression', parsedProjection);
  refuseUnused('ExpressionAttributeNames', action, new Set(parsed.flatMap(({ names }) => [...names])), wording);
  refuseUnused('ExpressionAttributeValues', action, new Set(parsed.flatMap(({ values }) => [...values])), wording);
}

function refuseUnused(
  parameter: string,
  action: Request,
  used: ReadonlySet<string>,
  wording: CheckContext['wording'],
): void {
  const unused = Object.keys(action[parameter] ?? {}).filter(alias => !used.has(alias));
  if (unused.length === 0) return;
  throw refusal(`Value provided in ${parameter} unused in expressions: keys: {${unused.join(', ')}}`, wording);
}
