/** What the thread of the app and the workers of isolated functions say to each other. */
import type { Cause } from '../kernel/causes.ts';
import type { InvocationMeasures } from '../platform/functions/index.ts';

/** What a worker is started with. */
export interface IsolatedThreadData {
  /** The app's module, as a file URL. */
  readonly appUrl: string;
  readonly functionName: string;
  readonly cursorKey: Uint8Array;
  /** As in `EffectsOptions`. */
  readonly life: string;
}

/** Values have been made ready by `outward`. */
export type ToIsolated =
  | {
      readonly type: 'run';
      readonly input: unknown;
      readonly requestId: string;
      readonly attempt: number;
      readonly depth: number;
      readonly remainingMs: number;
      readonly caller: IsolatedCaller;
      /** Access patterns that are being filled, and how many records have been looked at. */
      readonly building: Readonly<Record<string, number>>;
    }
  /** The time of what runs is over, or the app stops. */
  | { readonly type: 'abort'; readonly reason: unknown }
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly type: 'refusal'; readonly id: number; readonly error: unknown };

/** On whose behalf the function runs. */
export interface IsolatedCaller {
  readonly thingName?: string;
  readonly eventId?: string;
  readonly cause?: Cause;
}

export type ToApp =
  | { readonly type: 'ready' }
  | { readonly type: 'notLoadable'; readonly reason: string }
  | { readonly type: 'done'; readonly value: unknown; readonly measures: InvocationMeasures }
  | { readonly type: 'failed'; readonly error: unknown; readonly measures: InvocationMeasures }
  | {
      readonly type: 'call';
      readonly id: number;
      /** E.g. `table`, `get`. */
      readonly path: readonly string[];
      readonly args: unknown;
      /** The access pattern that it is made for, and whether it is part of a call that was counted. */
      readonly accessPattern?: string;
      readonly isCounted?: boolean;
    }
  /** Nobody waits for an answer. */
  | { readonly type: 'note'; readonly path: readonly string[]; readonly args: unknown };
