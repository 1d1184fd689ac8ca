import { MimamoriError } from '../../../kernel/errors.ts';
import { streamThrottled } from '../errors.ts';
import {
  isMistake,
  streamAccessDenied,
  streamKeyNotUsable,
  streamNotFound,
  streamRefused,
  streamUnavailable,
} from '../remote-errors.ts';

const throttling = new Set([
  'ProvisionedThroughputExceededException',
  'LimitExceededException',
  'KMSThrottlingException',
  'ThrottlingException',
]);
const access = new Set([
  'AccessDeniedException',
  'UnrecognizedClientException',
  'InvalidSignatureException',
  'IncompleteSignatureException',
  'MissingAuthenticationTokenException',
  'ExpiredTokenException',
  'CredentialsProviderError',
]);

/** What Kinesis, its client or the network threw, as ours. Everything of ours passes unchanged. */
export function refusalOf(thrown: unknown, streamName: string, shardId = streamName): MimamoriError {
  if (thrown instanceof MimamoriError) return thrown;
  const name = nameOf(thrown);
  if (throttling.has(name)) return streamThrottled(shardId);
  if (access.has(name)) return streamAccessDenied(streamName, thrown);
  if (name.startsWith('KMS')) return streamKeyNotUsable(streamName, thrown);
  if (name === 'ResourceNotFoundException') return streamNotFound(streamName, thrown);
  const isTheirs = thrown instanceof Error && '$fault' in thrown && thrown.$fault === 'client';
  if (thrown instanceof Error && (isTheirs || isMistake(thrown))) {
    return streamRefused(streamName, `${name}: ${thrown.message}`, thrown);
  }
  return streamUnavailable(streamName, thrown); // Its own failure, or none of it: a network that does not answer.
}

/** The same for one record of an answer that took others. */
export function refusalOfRecord(errorCode: string, streamName: string, shardId: string): MimamoriError {
  return throttling.has(errorCode) ? streamThrottled(shardId) : streamUnavailable(streamName, errorCode);
}

/** Name of an exception of AWS, or of any other error. */
export function nameOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.name : '';
}
