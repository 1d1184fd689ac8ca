/** What Kinesis answers to requests that cannot be carried out, in its words where they are known. */
import { catalogLimits } from '../../platform/stream/index.ts';
import { accountId, awsRegion } from './arn.ts';

/** An error of Kinesis' own: its name is what SDKs match on. */
export class KinesisError extends Error {
  readonly status: number;

  constructor(name: string, message: string, status = 400) {
    super(message);
    this.name = name;
    this.status = status;
  }
}

const under = `under account ${accountId}`;

export const invalidArgument = (message: string) => new KinesisError('InvalidArgumentException', message);
export const notValid = (message: string) => new KinesisError('ValidationException', message);

export const streamNotFound = (name: string) =>
  new KinesisError('ResourceNotFoundException', `Stream ${name} ${under} not found.`);

export const streamExists = (name: string) =>
  new KinesisError('ResourceInUseException', `Stream ${name} ${under} already exists.`);

export const streamInUse = (name: string, status: string) =>
  new KinesisError('ResourceInUseException', `Stream ${name} ${under} not ACTIVE, instead in state ${status}`);

/** Where a shard is read. */
export const shardNotThere = (shardId: string, name: string) =>
  new KinesisError('ResourceNotFoundException', `Shard ${shardId} in stream ${name} ${under} does not exist`);

/** Where a shard is changed. */
export const shardNotFound = (shardId: string, name: string) =>
  new KinesisError('ResourceNotFoundException', `Could not find shard ${shardId} in stream ${name} ${under}.`);

export const shardsTooMany = (open: number, more: number) =>
  new KinesisError(
    'LimitExceededException',
    `This request would exceed the shard limit for the account ${accountId} in ${awsRegion}. Current shard count for the account: ${open}. Limit: ${catalogLimits.openShardsMax}. Number of additional shards that would have resulted from this request: ${more}. Refer to the AWS Service Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and how to request higher limits.`,
  );

export const limitExceeded = (message: string) => new KinesisError('LimitExceededException', message);

export const rateExceeded = (name: string, shardId?: string) =>
  new KinesisError(
    shardId === undefined ? 'LimitExceededException' : 'ProvisionedThroughputExceededException',
    shardId === undefined
      ? `Rate exceeded for stream ${name} ${under}.`
      : `Rate exceeded for shard ${shardId} in stream ${name} ${under}.`,
  );

export const accessDenied = (message: string) => new KinesisError('AccessDeniedException', message);

export const iteratorNotValid = () => invalidArgument('Invalid ShardIterator.');

export const iteratorExpired = (issuedAtMs: number, nowMs: number, validMs: number) =>
  new KinesisError(
    'ExpiredIteratorException',
    `Iterator expired. The iterator was created at time ${spelled(issuedAtMs)} while right now it is ${spelled(nowMs)} which is further in the future than the tolerated delay of ${validMs} milliseconds.`,
  );

export const tokenExpired = () =>
  new KinesisError('ExpiredNextTokenException', 'The NextToken has expired. List again from the beginning.');

/** The fault is ours, and somebody may be able to mend it. */
export const internalFailure = (message = 'Internal service failure.') =>
  new KinesisError('InternalFailureException', message, 500);

/** As Java has it: Thu Jan 22 01:22:02 UTC 2015 */
function spelled(atMs: number): string {
  const [weekday, day, month, year, time] = new Date(atMs).toUTCString().split(/,? /);
  return `${weekday} ${month} ${day} ${time} UTC ${year}`;
}
