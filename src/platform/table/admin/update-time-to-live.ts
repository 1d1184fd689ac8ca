import type { UpdateTimeToLiveCommandInput, UpdateTimeToLiveCommandOutput } from '@aws-sdk/client-dynamodb';
import type { Engine } from '../engine.ts';
import { invalid } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import type { Answer } from '../port.ts';
import { expiring } from '../storage/declare.ts';
import type { StoredTable } from '../storage/stored-table.ts';

/** Items that are there get their entry in the index of expiries in the background. */
export async function updateTimeToLive(
  engine: Engine,
  { TableName = '', TimeToLiveSpecification }: UpdateTimeToLiveCommandInput,
): Promise<Answer<UpdateTimeToLiveCommandOutput>> {
  const { catalog, clock, upkeep } = engine;
  const { AttributeName = '', Enabled = false } = TimeToLiveSpecification ?? {};
  await catalog.change(change => {
    const stored = catalog.stored(TableName);
    engine.transitions.checkSettled(stored.tableName);
    const nowMs = clock.nowMs();
    checkChange(stored, AttributeName, Enabled, nowMs);
    change.put(expiring(stored, { attributeName: AttributeName, isEnabled: Enabled, changedAtMs: nowMs }));
  });
  upkeep.wake();
  return { TimeToLiveSpecification: { AttributeName, Enabled } };
}

function checkChange({ timeToLive }: StoredTable, attributeName: string, isEnabled: boolean, nowMs: number): void {
  if (isEnabled === (timeToLive?.isEnabled ?? false)) {
    if (!isEnabled) throw invalid('TimeToLive is already disabled');
    if (timeToLive?.attributeName === attributeName) throw invalid('TimeToLive is already enabled');
    throw invalid(
      `TimeToLive is active on a different AttributeName: current AttributeName is ${timeToLive?.attributeName}`,
    );
  }
  const { changedAtMs } = timeToLive ?? {};
  if (changedAtMs !== undefined && nowMs < changedAtMs + tableLimits.timeToLiveChangeMs) {
    throw invalid('Time to live has been modified multiple times within a fixed interval');
  }
  if (!isEnabled && timeToLive?.attributeName !== attributeName) {
    throw invalid(
      `TimeToLive is active on a different AttributeName: current AttributeName is ${timeToLive?.attributeName}`,
    );
  }
}
