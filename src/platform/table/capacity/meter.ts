/** Who used how many capacity units of what: operations tell, whoever accounts or throttles listens. */

import type { Caller } from '../../../kernel/callers.ts';
import type { Value } from '../values/value.ts';

/** What a part of a call touches: a partition of a table, or of one of its indexes. */
export interface Use {
  readonly kind: 'read' | 'write';
  readonly tableName: string;
  readonly indexName?: string;
  /** The values of the partition key; absent for what goes over many partitions (a scan). */
  readonly partition?: readonly Value[];
  readonly caller?: Caller;
}

export interface Meter {
  /** A call has begun, whatever it will touch. */
  begin?(caller: Caller | undefined): void;
  /**
   * Before the work, for each partition it will touch. Throws `table.throttled` (ProvisionedThroughputExceededException)
   * when what it stands for has no capacity left.
   */
  admit(use: Use): void;
  /** Once it is known what the work cost; may take the capacity below zero, as in DynamoDB. */
  charge(use: Use, units: number): void;
}

export const noMeter: Meter = { admit() {}, charge() {} };

/** Asks and tells all of them, in order. */
export function metersTogether(meters: readonly Meter[]): Meter {
  return {
    begin(caller) {
      for (const meter of meters) meter.begin?.(caller);
    },
    admit(use) {
      for (const meter of meters) meter.admit(use);
    },
    charge(use, units) {
      for (const meter of meters) meter.charge(use, units);
    },
  };
}
