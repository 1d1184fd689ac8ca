import type { Cause } from '../../kernel/causes.ts';
import type { StreamRecord } from '../../platform/stream/index.ts';
import type { DocumentChange } from '../../platform/table/index.ts';
import type { EntityChangeFunction } from '../model.ts';
import { baseRecordsOf, type ChangeConsumer, type ChangeFilter, selectChange } from '../table-changes.ts';
import { type Runner, type StreamHandler, streamTrigger } from './stream-trigger.ts';

/** What an entity change function is given, before its types are known. */
interface DecodedChange {
  readonly type: DocumentChange['name'];
  readonly newImage: Record<string, unknown> | undefined;
  readonly oldImage: Record<string, unknown> | undefined;
  readonly isExpired?: boolean;
  readonly changedAtMs: number;
  readonly sequenceNumber: bigint;
  readonly cause?: Cause;
}

/** The consumer that a declared function is. Each invocation has a time limit. */
export function entityChangeTrigger(
  functionName: string,
  { entity, options, handler }: EntityChangeFunction,
  runner: Runner,
): ChangeConsumer<DecodedChange> {
  const wantsKey = baseRecordsOf(entity);
  const trigger = streamTrigger(
    {
      functionName,
      trigger: 'entityChange',
      options,
      // The images are what entities of this definition stored: what the handler's type was made from.
      handler: handler as StreamHandler<DecodedChange>,
      select: record => decode(record, wantsKey),
    },
    runner,
  );
  return { ...trigger, wantsKey };
}

function decode(record: StreamRecord, wants: ChangeFilter): DecodedChange | undefined {
  const change = selectChange(record, wants);
  if (change === undefined) return undefined;
  return {
    type: change.name,
    newImage: entityIn(change.newImage),
    oldImage: entityIn(change.oldImage),
    ...(change.name === 'REMOVE' && { isExpired: change.isExpired }),
    changedAtMs: change.atMs,
    sequenceNumber: record.sequenceNumber,
    ...(change.cause && { cause: change.cause }),
  };
}

/** The attributes of the entity that a base record carries. */
function entityIn(image: Record<string, unknown> | undefined): Record<string, unknown> | undefined {
  return image?.Data as Record<string, unknown> | undefined; // As the repository put it there.
}
