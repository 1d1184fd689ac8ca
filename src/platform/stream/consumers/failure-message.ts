/** What is told an on-failure destination: Lambda's message about records it has given up. */
import type { ShardId, StreamRecord } from '../port.ts';
import type { DeadLetter, GivenUpCondition } from './batch.ts';

/** As Lambda sends it to SQS and SNS. Only places and counts: whoever needs the records has the letters. */
export interface FailureMessage {
  readonly requestContext: {
    readonly requestId: string;
    readonly functionArn: string;
    readonly condition: GivenUpCondition;
    readonly approximateInvokeCount: number;
  };
  readonly responseContext: {
    readonly statusCode: 200;
    readonly executedVersion: '$LATEST';
    readonly functionError: 'Unhandled';
  };
  readonly version: '1.0';
  readonly timestamp: string;
  readonly KinesisBatchInfo: {
    readonly shardId: ShardId;
    readonly startSequenceNumber: string;
    readonly endSequenceNumber: string;
    readonly approximateArrivalOfFirstRecord: string;
    readonly approximateArrivalOfLastRecord: string;
    readonly batchSize: number;
    readonly streamArn: string;
  };
}

/** Records given up together, which must not be none, with the message about them. */
export interface GivenUp {
  readonly message: FailureMessage;
  readonly letters: readonly DeadLetter[];
}

export interface FailureFacts {
  readonly requestId: string;
  readonly functionArn: string;
  readonly streamArn: string;
  readonly shardId: ShardId;
  readonly condition: GivenUpCondition;
  readonly invocations: number;
  readonly nowMs: number;
}

export function failureMessage(records: readonly StreamRecord[], facts: FailureFacts): FailureMessage {
  const first = records[0];
  const last = records[records.length - 1];
  return {
    requestContext: {
      requestId: facts.requestId,
      functionArn: facts.functionArn,
      condition: facts.condition,
      approximateInvokeCount: facts.invocations,
    },
    responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: 'Unhandled' },
    version: '1.0',
    timestamp: new Date(facts.nowMs).toISOString(),
    KinesisBatchInfo: {
      shardId: facts.shardId,
      startSequenceNumber: String(first.sequenceNumber),
      endSequenceNumber: String(last.sequenceNumber),
      approximateArrivalOfFirstRecord: new Date(first.arrivalAtMs).toISOString(),
      approximateArrivalOfLastRecord: new Date(last.arrivalAtMs).toISOString(),
      batchSize: records.length,
      streamArn: facts.streamArn,
    },
  };
}
