/** The names AWS gives to streams. One machine is one account in one region. */

/** What local tools of AWS say when nobody has chosen a region. */
export const awsRegion = 'us-east-1';
export const accountId = '000000000000';

export function streamArn(name: string): string {
  return `arn:aws:kinesis:${awsRegion}:${accountId}:stream/${name}`;
}

/** The name in an ARN, of whatever account and region; a consumer's tells its stream. */
export function streamNameIn(arn: string): string {
  return /:stream\/([^/]+)/.exec(arn)?.[1] ?? '';
}
