import type { Clock } from '../../kernel/clock.ts';
import type { Log } from '../../kernel/log.ts';
import type { Random } from '../../kernel/random.ts';
import type { StreamCatalog } from '../../platform/stream/index.ts';
import { type EndpointListener, type ListenOptions, listenEndpoint } from '../aws-json/listener.ts';
import { KinesisProtocol } from './endpoint.ts';
import { credentialsRequired, hostNotUsable, portInUse } from './errors.ts';
import { ReadMeter } from './read-meter.ts';
import { Seal } from './seal.ts';
import { ShardIterators } from './shard-iterator.ts';

export interface ListenKinesisOptions extends Omit<ListenOptions, 'hasHttp2'> {
  readonly catalog: StreamCatalog;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Seals iterators: 32 bytes, the same after a restart. */
  readonly iteratorKey: Uint8Array;
  /** `aws`: a shard is read as often and as much as on AWS. What may be written is the matter of the streams. */
  readonly limits?: 'generous' | 'aws';
  /** What signatures must be for; undefined: any is good. */
  readonly region?: string;
  /** Secrets by access key id. Without them any signature is good, and only pages of this machine may call. */
  readonly credentials?: ReadonlyMap<string, string>;
}

/** Throws `kinesis.credentialsRequired`, `kinesis.portInUse` and `kinesis.hostNotUsable`. */
export function listenKinesis(options: ListenKinesisOptions): Promise<EndpointListener> {
  const { catalog, clock, random, log, iteratorKey: key, limits } = options;
  const seal = new Seal({ key, random });
  const iterators = new ShardIterators({ seal, clock });
  const meter = limits === 'aws' ? new ReadMeter(clock) : undefined;
  const protocol = new KinesisProtocol({ catalog, clock, log, iterators, seal, meter });
  const problems = { credentialsRequired, portInUse, hostNotUsable };
  return listenEndpoint({ ...options, protocol, hasHttp2: true }, problems);
}
