import type { DescribeLimitsCommandOutput } from '@aws-sdk/client-dynamodb';
import type { Answer } from '../port.ts';

/** The quotas of a new account [DynamoDB "Service quotas"]. */
export async function describeLimits(): Promise<Answer<DescribeLimitsCommandOutput>> {
  return {
    AccountMaxReadCapacityUnits: 80_000,
    AccountMaxWriteCapacityUnits: 80_000,
    TableMaxReadCapacityUnits: 40_000,
    TableMaxWriteCapacityUnits: 40_000,
  };
}
