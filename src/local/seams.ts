/**
 * Where a test may stand between the parts of a backend: each of these is given the real one and gives what is used in
 * its place. Nothing of it is used outside of tests.
 */
import type { Iot } from '../iot/port.ts';
import type { InvocationReport } from '../platform/functions/index.ts';
import type { Stream, StreamReader } from '../platform/stream/index.ts';
import type { ChangeFeed, Meter, Table } from '../platform/table/index.ts';

export interface Seams {
  /** What the gateway appends to. */
  readonly stream?: (stream: Stream) => Stream;
  /** One for each consumer. */
  readonly reader?: (reader: StreamReader) => StreamReader;
  readonly changes?: (feed: ChangeFeed) => ChangeFeed;
  /** As functions, commands and consumers see it. */
  readonly table?: (table: Table) => Table;
  readonly iot?: (iot: Iot) => Iot;
  /** Who listens to what the table uses. */
  readonly meter?: (meter: Meter) => Meter;
  /** Told of every invocation that has ended, or could not be begun. */
  readonly onInvocation?: (report: InvocationReport) => void;
}
