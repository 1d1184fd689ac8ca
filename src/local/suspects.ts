/** Which records may have ended the app thread: decided from what was in flight, each time it ends. Nothing else happens here. */
import type { SequenceNumber } from '../platform/stream/index.ts';
import type { SuspectRange } from './messages.ts';

/** What a consumer was working on when the thread ended. */
export interface InFlight {
  readonly consumer: string;
  readonly first: SequenceNumber;
  readonly last: SequenceNumber;
}

/** Marks every record that was in flight; the one that it is due to is charged with the restart. */
export function nextSuspects(
  suspects: ReadonlyMap<string, SuspectRange>,
  inFlight: readonly InFlight[],
): ReadonlyMap<string, SuspectRange> {
  const culprit = culpritOf(suspects, inFlight);
  const next = new Map(suspects);
  for (const { consumer, first, last } of inFlight) {
    const before = suspects.get(consumer);
    const restarts = new Map(before?.restarts);
    if (culprit?.consumer === consumer) restarts.set(first, (restarts.get(first) ?? 0) + 1);
    // The range before is still being worked through when this one lies inside it.
    const inside = before !== undefined && isWithin(before, first, last);
    next.set(consumer, inside ? { ...before, restarts } : { first, last, restarts });
  }
  return next;
}

/**
 * Of suspects only one runs at a time, whatever else is in flight beside it: what is new there may be innocent, and if it
 * is not, it is a suspect from now on. It takes several restarts until a record is set aside for them.
 */
function culpritOf(suspects: ReadonlyMap<string, SuspectRange>, inFlight: readonly InFlight[]): InFlight | undefined {
  const alone = inFlight.filter(({ first, last }) => first === last);
  const suspected = alone.filter(({ consumer, first, last }) => {
    const range = suspects.get(consumer);
    return range !== undefined && isWithin(range, first, last);
  });
  if (suspected.length === 1) return suspected[0];
  return inFlight.length === 1 ? alone[0] : undefined;
}

function isWithin(range: SuspectRange, first: SequenceNumber, last: SequenceNumber): boolean {
  return first >= range.first && last <= range.last;
}
