import type { Announcement } from '../app/index.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Random } from '../kernel/random.ts';
import type { Sockets } from '../kernel/sockets.ts';

/** What `simulation.ts` of an app exports as `simulate`: devices that live until the process ends. */
export type Simulation = (place: SimulationPlace) => Promise<void>;

export interface SimulationPlace {
  readonly httpUrl: string;
  readonly host: string;
  readonly mqttPort: number;
  /** Of the user that owns the simulated devices. */
  readonly token: string;
  /** Where credentials may be kept from one run to the next. */
  readonly dataDirectory: string;
  readonly sockets: Sockets;
  readonly clock: Clock;
  readonly random: Random;
  /** A line for the terminal. */
  readonly tell: (announcement: Announcement) => void;
}
