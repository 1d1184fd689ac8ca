/** What the operations of Kinesis work with. */
import type { Clock } from '../../kernel/clock.ts';
import type { Log } from '../../kernel/log.ts';
import type { CatalogStream, StreamCatalog } from '../../platform/stream/index.ts';
import { streamNameIn } from './arn.ts';
import type { ReadMeter } from './read-meter.ts';
import { invalidArgument, streamNotFound } from './refusals.ts';
import type { Seal } from './seal.ts';
import type { ShardIterators } from './shard-iterator.ts';

export interface Context {
  readonly catalog: StreamCatalog;
  readonly clock: Clock;
  readonly log: Log;
  readonly iterators: ShardIterators;
  readonly seal: Seal;
  /** With the limits of AWS. */
  readonly meter: ReadMeter | undefined;
}

/** How a request tells a stream; one of the two is there. */
export interface StreamNamed {
  readonly StreamName?: string;
  readonly StreamARN?: string;
}

export function nameOf({ StreamName: name, StreamARN: arn }: StreamNamed): string {
  if (arn === undefined) return name ?? '';
  const named = streamNameIn(arn);
  if (name !== undefined && name !== named) {
    throw invalidArgument(`StreamARN ${arn} and StreamName ${name} are of different streams.`);
  }
  return named;
}

/** Throws `ResourceNotFoundException`. */
export function streamOf({ catalog }: Context, input: StreamNamed): CatalogStream {
  const name = nameOf(input);
  const stream = catalog.find(name);
  if (stream === undefined) throw streamNotFound(name);
  return stream;
}
