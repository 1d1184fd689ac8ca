/** The names AWS gives to resources. One machine is one account in one region. */

/** What local tools of AWS say when nobody has chosen a region. */
export const awsRegion = 'us-east-1';
const accountId = '000000000000';

export function tableArn(tableName: string): string {
  return `arn:aws:dynamodb:${awsRegion}:${accountId}:table/${tableName}`;
}

export function indexArn(tableName: string, indexName: string): string {
  return `${tableArn(tableName)}/index/${indexName}`;
}

/** Of a key of KMS, or of an alias of one (`alias/…`). */
export function encryptionKeyArn(keyId: string): string {
  return `arn:aws:kms:${awsRegion}:${accountId}:${keyId.startsWith('alias/') ? keyId : `key/${keyId}`}`;
}

/** Who everybody is to whom AWS would have to give a name. */
export const callerArn = `arn:aws:iam::${accountId}:root`;

export function streamArn(tableName: string, label: string): string {
  return `${tableArn(tableName)}/stream/${label}`;
}

/** What a text must look like to be the ARN of a stream at all, of whatever account and region. */
export const streamArnPattern = /^arn:[a-z-]+:dynamodb:[a-z0-9-]*:\d*:table\/[A-Za-z0-9_.-]+\/stream\/[0-9T:.-]+$/;
