import type { Sockets } from '../../kernel/sockets.ts';
import type { VirtualClock } from '../../kernel/virtual-clock.ts';
import type { Faults } from '../faults/faults.ts';
import type { ModelParts } from '../model-types.ts';
import type { Activity } from '../world/activity.ts';

/** What a virtual device has around it. It stays when the app is restarted; where to connect to may change. */
export interface DevicePlace<M extends ModelParts> {
  readonly model: M;
  readonly clock: VirtualClock;
  readonly sockets: Sockets;
  readonly port: () => number;
  readonly activity: () => Activity;
  readonly faults: Faults;
  readonly onProblem: (problem: Error) => void;
  /** Moves time just as far as `work` needs. */
  readonly until: <T>(what: string, work: Promise<T>) => Promise<T>;
  /** Moves time until `isDone`, at most `withinMs`. */
  readonly untilTrue: (isDone: () => boolean, withinMs: number) => Promise<boolean>;
  /** Lets happen what can happen now. */
  readonly settle: () => Promise<void>;
  /** One POST to the gateway, for devices without a connection. Time passes as others let it. */
  readonly askGateway: (
    credentials: { readonly username: string; readonly password: string },
    url: string,
    body: unknown,
  ) => Promise<{ readonly status: number; readonly body: unknown }>;
}
