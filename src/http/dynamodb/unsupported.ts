/** What DynamoDB does and we do not. It is said by name, while what nobody knows is answered without words, as on AWS. */
const unsupported: ReadonlySet<string> = new Set(
  [
    'BatchExecuteStatement ExecuteStatement ExecuteTransaction', // PartiQL
    'CreateBackup DeleteBackup DescribeBackup ListBackups RestoreTableFromBackup',
    'RestoreTableToPointInTime UpdateContinuousBackups',
    'DescribeExport DescribeImport ExportTableToPointInTime ImportTable ListExports ListImports',
    'CancelBulkOperation DescribeBulkOperation ListBulkOperations StartBulkPutItems',
    'CreateGlobalTable DescribeGlobalTable DescribeGlobalTableSettings ListGlobalTables',
    'UpdateGlobalTable UpdateGlobalTableSettings',
    'DescribeTableReplicaAutoScaling UpdateTableReplicaAutoScaling',
    'DescribeContributorInsights ListContributorInsights UpdateContributorInsights',
    'DescribeKinesisStreamingDestination DisableKinesisStreamingDestination',
    'EnableKinesisStreamingDestination UpdateKinesisStreamingDestination',
    'DeleteResourcePolicy GetResourcePolicy PutResourcePolicy',
    'SearchVectors',
  ].flatMap(line => line.split(' ')),
);

const dynamoDb = 'DynamoDB_20120810.';

/** @returns the name of the operation if the target is one of DynamoDB's that we do not carry out */
export function unsupportedOperation(target: string): string | undefined {
  if (!target.startsWith(dynamoDb)) return undefined;
  const name = target.slice(dynamoDb.length);
  return unsupported.has(name) ? name : undefined;
}
