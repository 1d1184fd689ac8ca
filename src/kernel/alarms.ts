/** What somebody should look at. Raised where it is noticed; kept, shown and sent on by `ops/alarms`. */
export interface Alarm {
  /** The kind, e.g. `functionLoop`. Few, from our code. */
  readonly name: string;
  /** What it is about: a function, a consumer, a thing. One alarm is active per name and subject. */
  readonly subject: string;
  /** What has happened, one sentence. */
  readonly message: string;
  /** What to do. */
  readonly fix: string;
  readonly facts?: Readonly<Record<string, unknown>>;
}

export interface Alarms {
  /** Raised again while it is active, it is counted. */
  raise(alarm: Alarm): void;
  /** It is over. Content when it was not raised. */
  clear(name: string, subject: string): void;
}

/** For whoever has nobody to tell. */
export const noAlarms: Alarms = { raise: () => {}, clear: () => {} };
