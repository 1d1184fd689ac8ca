/** A client of Kinesis that answers as a test says: what nobody can make a real one do on demand. */
import type { Kinesis, PutRecordsCommandInput } from '@aws-sdk/client-kinesis';
import { hashKeyMax } from '../shards.ts';

export type PutAnswer = { readonly kept: true } | { readonly ErrorCode: string; readonly ErrorMessage?: string };

export interface ScriptedAnswers {
  /** Per record of each PutRecords; what it throws is thrown to the caller, after what it said of the ones before. */
  readonly put?: (partitionKey: string, data: Buffer, call: PutCallSeen) => PutAnswer;
  readonly getRecords?: (iterator: string) => GetRecordsAnswer;
  readonly getShardIterator?: (input: IteratorAsked) => string;
}

export interface PutCallSeen {
  readonly number: number;
  readonly size: number;
}

export interface IteratorAsked {
  readonly ShardIteratorType?: string;
  readonly StartingSequenceNumber?: string;
  readonly Timestamp?: Date;
}

export interface GetRecordsAnswer {
  readonly Records?: {
    Data: Uint8Array;
    PartitionKey: string;
    SequenceNumber: string;
    ApproximateArrivalTimestamp: Date;
  }[];
  readonly NextShardIterator?: string;
  readonly MillisBehindLatest?: number;
}

/** As the SDK throws it. */
export class KinesisError extends Error {
  readonly $fault: 'client' | 'server';

  constructor(name: string, fault: 'client' | 'server' = 'client') {
    super(`said ${name}`);
    this.name = name;
    this.$fault = fault;
  }
}

export class ScriptedKinesis {
  /** Everything that was kept, in order, as `key:data`. */
  readonly kept: string[] = [];
  readonly calls: PutRecordsCommandInput[] = [];
  readonly #answers: ScriptedAnswers;

  constructor(answers: ScriptedAnswers = {}) {
    this.#answers = answers;
  }

  /** Has the methods that the engine uses, and no others. */
  get client(): Kinesis {
    const methods = {
      putRecords: async (input: PutRecordsCommandInput) => this.#putRecords(input),
      getShardIterator: async (input: IteratorAsked) => ({
        ShardIterator: this.#answers.getShardIterator?.(input) ?? 'first',
      }),
      getRecords: async ({ ShardIterator = '' }) => this.#answers.getRecords?.(ShardIterator) ?? {},
      listShards: async () => ({ Shards: [shard] }),
      describeStreamSummary: async () => ({ StreamDescriptionSummary: { StreamStatus: 'ACTIVE' } }),
    };
    return methods as unknown as Kinesis; // A test that makes the engine call any other fails at once.
  }

  #putRecords(input: PutRecordsCommandInput) {
    this.calls.push(input);
    const records = input.Records ?? [];
    const call = { number: this.calls.length, size: records.length };
    return {
      Records: records.map(({ PartitionKey = '', Data = new Uint8Array() }) => {
        const data = Buffer.from(Data);
        const answer = this.#answers.put?.(PartitionKey, data, call) ?? { kept: true };
        if (!('kept' in answer)) return answer;
        this.kept.push(`${PartitionKey}:${data}`);
        return { ShardId: shard.ShardId, SequenceNumber: String(this.kept.length) };
      }),
    };
  }
}

const shard = {
  ShardId: 'shardId-000000000000',
  HashKeyRange: { StartingHashKey: '0', EndingHashKey: String(hashKeyMax) },
  SequenceNumberRange: { StartingSequenceNumber: '1' },
};
