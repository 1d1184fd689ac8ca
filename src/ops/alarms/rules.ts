/**
 * When the metrics say that somebody should look. Data: a threshold is changed here, or by `rules` where the backend is
 * composed, and nowhere else. src/ops/README.md lists them. What is noticed where it happens (a loop, a budget, dead
 * letters, an error, a ledger that does not balance) is raised there, and has no rule.
 */
export interface AlarmRule {
  readonly name: string;
  readonly metric: string;
  /** Only samples with these labels. */
  readonly where?: Readonly<Record<string, string>>;
  /** Labels that tell one subject from another; [] is the whole backend. */
  readonly per: readonly string[];
  readonly when: Condition;
  /** It must be so for this long. */
  readonly forMs: number;
  /** It must be otherwise for this long until the alarm is over. */
  readonly clearAfterMs: number;
  readonly message: (subject: string, value: number) => string;
  readonly fix: string;
}

export type Condition =
  | { readonly type: 'above' | 'below'; readonly threshold: number; readonly of?: string }
  /** A counter grew by so much. */
  | { readonly type: 'grew'; readonly by: number; readonly withinMs: number }
  /** Of what `of` grew by, so large a part; not judged below `eventsMin`. */
  | {
      readonly type: 'part';
      readonly of: string;
      readonly above: number;
      readonly withinMs: number;
      readonly eventsMin: number;
    }
  /** One subject grew by so many times its fair share of what all of them grew by. */
  | { readonly type: 'shares'; readonly above: number; readonly withinMs: number; readonly eventsMin: number };

const minute = 60_000;

export const defaultRules: readonly AlarmRule[] = [
  {
    name: 'functionFailing',
    metric: 'mimamori_function_errors_total',
    per: ['function'],
    when: { type: 'part', of: 'mimamori_function_invocations_total', above: 0.5, withinMs: 5 * minute, eventsMin: 20 },
    forMs: 0,
    clearAfterMs: 5 * minute,
    message: (subject, value) => `${percent(value)} of the invocations of ${subject} failed in the last 5 minutes.`,
    fix: 'See `mimamori logs --level error --function …`; the alarms functionError name the errors.',
  },
  {
    name: 'functionThrottled',
    metric: 'mimamori_function_throttles_total',
    per: ['function'],
    when: { type: 'grew', by: 10, withinMs: 5 * minute },
    forMs: 0,
    clearAfterMs: 5 * minute,
    message: (subject, value) => `${subject} was refused ${value} times in 5 minutes.`,
    fix: 'Make it faster, or give it more concurrency or budget; see `mimamori functions`.',
  },
  {
    name: 'consumerBehind',
    metric: 'mimamori_consumer_iterator_age_seconds',
    per: ['consumer'],
    when: { type: 'above', threshold: 60 },
    forMs: minute / 2,
    clearAfterMs: minute,
    message: (subject, value) => `${subject} is ${Math.round(value)} s behind its stream.`,
    fix: 'See whether it fails, is throttled, is paused, or is too slow: more lanes or shards, larger batches.',
  },
  {
    name: 'consumerPaused',
    metric: 'mimamori_consumer_paused',
    per: ['consumer'],
    when: { type: 'above', threshold: 0 },
    forMs: 10 * minute,
    clearAfterMs: 0,
    message: subject => `${subject} has been paused for ten minutes; its records wait.`,
    fix: 'Let it run again before retention removes what it has not read.',
  },
  {
    name: 'partitionSkew',
    metric: 'mimamori_stream_hot_key_share',
    per: ['key'],
    when: { type: 'above', threshold: 0.5 },
    forMs: 2 * minute,
    clearAfterMs: 5 * minute,
    message: (subject, value) => `${percent(value)} of all records have the partition key ${subject}.`,
    fix: 'See what that device sends; or choose another partition key, by a field or random, where order matters less.',
  },
  {
    name: 'shardSkew',
    metric: 'mimamori_stream_shard_records_total',
    per: ['shard'],
    when: { type: 'shares', above: 2, withinMs: 5 * minute, eventsMin: 3_000 },
    forMs: 2 * minute,
    clearAfterMs: 5 * minute,
    message: (subject, value) => `${subject} takes ${value.toFixed(1)} times its share of the records.`,
    fix: 'Split it, or choose a partition key with more values.',
  },
  {
    name: 'diskNearlyFull',
    metric: 'mimamori_disk_free_bytes',
    per: [],
    when: { type: 'below', threshold: 0.1, of: 'mimamori_disk_total_bytes' },
    forMs: 0,
    clearAfterMs: minute,
    message: (_subject, value) => `Only ${percent(value)} of the disk of the data directory is free.`,
    fix: 'Free space or shorten retention: when it is full, publishers are refused.',
  },
  {
    name: 'logsDropped',
    metric: 'mimamori_log_lines_dropped_total',
    where: { reason: 'disk' },
    per: ['channel'],
    when: { type: 'grew', by: 1, withinMs: 5 * minute },
    forMs: 0,
    clearAfterMs: 5 * minute,
    message: (subject, value) => `${value} log lines of ${subject} were dropped: the disk did not take them.`,
    fix: 'Check the disk and the permissions of the data directory.',
  },
];

/** Alarms that are raised where something happens, and are over when it has not happened for so long. */
export const quietMs: Readonly<Record<string, number>> = {
  functionError: 60 * minute,
  appRestarted: 15 * minute,
  functionLoop: 60 * minute,
  deadLettersGrowing: 60 * minute,
  deadLettersNotKept: 60 * minute,
};

function percent(part: number): string {
  return `${Math.round(part * 100)} %`;
}
