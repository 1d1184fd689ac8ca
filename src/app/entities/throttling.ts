/** Which refusals pass by themselves, by DynamoDB's names, which every engine gives. */
import { MimamoriError } from '../../kernel/errors.ts';

/** DynamoDB "Error handling": what passes when it is tried again later. */
export function isThrottling(error: unknown): boolean {
  if (error instanceof MimamoriError && !error.retryable) return false; // it says itself that it does not pass
  return isRefusedByThrottling(error) || (error instanceof Error && error.name === 'InternalServerError');
}

/** Nothing was carried out. */
export function isRefusedByThrottling(error: unknown): boolean {
  return error instanceof Error && throttlingNames.has(error.name);
}

const throttlingNames = new Set([
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'ThrottlingException',
]);

/** A transaction for whose actions there was no capacity, and nothing else against it. */
export function isCancelledByThrottling(error: unknown): boolean {
  const codes = cancellationCodes(error).filter(code => code !== 'None');
  return codes.length > 0 && codes.every(code => throttlingCodes.has(code));
}

/** DynamoDB TransactWriteItems, cancellation reasons. */
const throttlingCodes = new Set(['ThrottlingError', 'ProvisionedThroughputExceeded']);

/** One for each action; empty for what is no cancelled transaction. */
export function cancellationCodes(error: unknown): string[] {
  if (!(error instanceof Error) || error.name !== 'TransactionCanceledException') return [];
  const reasons: unknown = Reflect.get(error, 'CancellationReasons');
  return Array.isArray(reasons) ? reasons.map(reason => String(reason?.Code)) : [];
}
