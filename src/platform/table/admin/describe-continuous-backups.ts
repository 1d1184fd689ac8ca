import type {
  DescribeContinuousBackupsCommandInput,
  DescribeContinuousBackupsCommandOutput,
} from '@aws-sdk/client-dynamodb';
import type { Engine } from '../engine.ts';
import type { Answer } from '../port.ts';

/** Recovery to a point in time is never on here; that continuous backups are is what every table of AWS says. */
export async function describeContinuousBackups(
  { catalog }: Engine,
  { TableName = '' }: DescribeContinuousBackupsCommandInput,
): Promise<Answer<DescribeContinuousBackupsCommandOutput>> {
  catalog.stored(TableName);
  return {
    ContinuousBackupsDescription: {
      ContinuousBackupsStatus: 'ENABLED',
      PointInTimeRecoveryDescription: { PointInTimeRecoveryStatus: 'DISABLED' },
    },
  };
}
