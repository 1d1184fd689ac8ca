/**
 * How an event lies in the log. A record: version u8 · type and part u8 · the event, or a part of it.
 * An event is one record. One that does not fit is several that follow each other directly; together they count once the
 * last one is there, so an event is in the log as a whole or not at all, as if it were one.
 * `values.ts` has the fields. A change of any of it is a new version.
 */
export const formatVersion = 1;

/** Every record has it: the log is one, and nobody reads a part of it. */
export const partitionKey = 'j';

/** Of a record, before the event: version, then type and part. */
export const recordHeadBytes = 2;

/** In the upper two bits of the type. */
export const parts = { whole: 0x00, first: 0x40, middle: 0x80, last: 0xc0 } as const;
export const partMask = 0xc0;

/** Never reused for another meaning. */
export const eventTypes = {
  client: 1,
  clientForgotten: 2,
  presence: 3,
  sessionEnded: 4,
  subscribed: 5,
  unsubscribed: 6,
  message: 7,
  published: 8,
  sent: 9,
  released: 10,
  settled: 11,
  dropped: 12,
  completed: 13,
  retainedDeleted: 14,
  checkpointEnded: 15,
} as const;

/** The flags of a published event. */
export const publishedFlags = { hasMessage: 0x01, setsRetained: 0x02, deletesRetained: 0x04, hasSender: 0x08 } as const;
