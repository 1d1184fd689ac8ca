/** Who listens to what the table uses: the throttling of `--limits aws`, the ledger behind `mimamori capacity`. */
import { type CapacityReport, capacityReport, type Runtime } from '../app/index.ts';
import type { Clock } from '../kernel/clock.ts';
import { CapacityLedger, CloudMeter, type Engine, type Meter, metersTogether } from '../platform/table/index.ts';

export interface AccountingOptions {
  readonly clock: Clock;
  readonly limits?: 'generous' | 'aws';
  readonly hasLedger: boolean;
}

export interface Accounting {
  /** Undefined: nobody listens. */
  readonly meter: Meter | undefined;
  /** An engine is opened with its meter; what is throttled follows its tables. */
  follow(engine: Engine): void;
  /** Undefined without a ledger. */
  reportFor(runtime: Runtime): ((hotPartitions?: number) => CapacityReport) | undefined;
}

export function accountingFor({ clock, limits, hasLedger }: AccountingOptions): Accounting {
  const ledger = hasLedger ? new CapacityLedger(clock) : undefined;
  const cloud = limits === 'aws' ? new CloudMeter(clock) : undefined;
  const meters = [cloud, ledger].filter(meter => meter !== undefined);
  const sinceMs = clock.nowMs();
  return {
    meter: meters.length > 1 ? metersTogether(meters) : meters[0],
    follow: engine => cloud?.follow(engine),
    reportFor: ({ invocations }) =>
      ledger &&
      (hotPartitions => capacityReport({ ledger, invocations, sinceMs, nowMs: clock.nowMs() }, hotPartitions)),
  };
}
