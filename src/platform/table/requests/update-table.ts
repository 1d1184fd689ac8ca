/** What UpdateTable says before it looks at the table. */
import { checkProjection, checkStream, checkUnits } from './create-table.ts';
import type { CheckContext, Request } from './shapes.ts';
import { refusal } from './values.ts';

const notValid = 'One or more parameter values were invalid: ';
const fail = (message: string) => refusal(message, 'older');

/** Any of these is a change. DynamoDB's own list of them in its message is older than some. */
const changes = [
  'ProvisionedThroughput',
  'BillingMode',
  'StreamSpecification',
  'SSESpecification',
  'TableClass',
  'DeletionProtectionEnabled',
  'OnDemandThroughput',
  'WarmThroughput',
];

export function checkUpdateTable(request: Request, _context: CheckContext): void {
  const updates = (request.GlobalSecondaryIndexUpdates ?? []) as readonly Request[]; // a cast: types were checked
  if (updates.length === 0 && changes.every(name => request[name] === undefined)) {
    throw fail(
      'At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required',
    );
  }
  if (request.BillingMode === 'PROVISIONED' && request.ProvisionedThroughput === undefined) {
    throw fail(`${notValid}ProvisionedThroughput must be specified when BillingMode is PROVISIONED`);
  }
  if (request.BillingMode === 'PAY_PER_REQUEST' && request.ProvisionedThroughput !== undefined) {
    throw fail(
      `${notValid}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST`,
    );
  }
  if (request.ProvisionedThroughput !== undefined) {
    checkUnits(request.ProvisionedThroughput as Parameters<typeof checkUnits>[0]); // a cast: types were checked
  }
  checkIndexUpdates(updates);
  checkStream(request.StreamSpecification as Parameters<typeof checkStream>[0]); // a cast: types were checked
}

function checkIndexUpdates(updates: readonly Request[]): void {
  const names = new Set<unknown>();
  for (const { Update, Create, Delete } of updates) {
    const action = (Update ?? Create ?? Delete) as Request | undefined; // a cast: types were checked
    if (action === undefined) {
      throw fail(
        `${notValid}One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, GlobalSecondaryIndexUpdate.Delete must not be null`,
      );
    }
    if (names.has(action.IndexName)) {
      throw fail(
        `${notValid}Only one global secondary index update per index is allowed simultaneously. Index: ${action.IndexName}`,
      );
    }
    names.add(action.IndexName);
    if (Create !== undefined) checkProjection(Create as Parameters<typeof checkProjection>[0]); // a cast: types were checked
  }
}
