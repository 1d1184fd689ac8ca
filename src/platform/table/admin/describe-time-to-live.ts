import type {
  DescribeTimeToLiveCommandInput,
  DescribeTimeToLiveCommandOutput,
  TimeToLiveStatus,
} from '@aws-sdk/client-dynamodb';
import type { Engine } from '../engine.ts';
import type { Answer } from '../port.ts';
import type { StoredTable } from '../storage/stored-table.ts';

export async function describeTimeToLive(
  { catalog }: Engine,
  { TableName = '' }: DescribeTimeToLiveCommandInput,
): Promise<Answer<DescribeTimeToLiveCommandOutput>> {
  const stored = catalog.stored(TableName);
  const status = statusOf(stored);
  const attribute = status === 'DISABLED' ? undefined : stored.timeToLive?.attributeName;
  return {
    TimeToLiveDescription: { TimeToLiveStatus: status, ...(attribute !== undefined && { AttributeName: attribute }) },
  };
}

function statusOf({ timeToLive, indexes }: StoredTable): TimeToLiveStatus {
  const expiries = indexes.filter(({ kind }) => kind === 'expiry');
  if (timeToLive?.isEnabled) return expiries.some(({ status }) => status === 'building') ? 'ENABLING' : 'ENABLED';
  return expiries.length > 0 ? 'DISABLING' : 'DISABLED';
}
