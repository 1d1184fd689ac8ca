import { addressGroup } from '../../kernel/addresses.ts';
import type { Identity } from '../access/port.ts';
import type { GatewayCore } from '../mqtt/gateway.ts';
import { Inbound } from '../mqtt/inbound.ts';
import { dataPlaneLimits } from './limits.ts';

/**
 * What each sender has published lately, so that the rates of a connection also hold for those who have none. By thing
 * or user, since a client id is anybody's to choose; anonymous ones by address.
 */
export class Senders {
  readonly #core: Pick<GatewayCore, 'limits' | 'clock' | 'publishes'>;
  readonly #inbounds = new Map<string, Inbound>();

  constructor(core: Pick<GatewayCore, 'limits' | 'clock' | 'publishes'>) {
    this.#core = core;
  }

  /** Whether one more publish of that many bytes is within the rates: its sender's, and those of all doors together. */
  isWithinRates(identity: Identity, remoteAddress: string, bytes: number): boolean {
    const { limits, clock, publishes } = this.#core;
    const nowMs = clock.monotonicMs();
    const { publishesPerSecondMax, publishBytesPerSecondMax } = limits;
    const isFree = publishesPerSecondMax === unlimited && publishBytesPerSecondMax === unlimited;
    if (!isFree && !this.#inboundOf(keyOf(identity, remoteAddress), nowMs).isWithinRate(bytes, nowMs)) return false;
    return publishes.take(nowMs);
  }

  #inboundOf(key: string, nowMs: number): Inbound {
    const inbound = this.#inbounds.get(key) ?? new Inbound(this.#core.limits, nowMs);
    this.#inbounds.delete(key); // To the end: the order is by the last publish.
    this.#inbounds.set(key, inbound);
    if (this.#inbounds.size > dataPlaneLimits.sendersMax) {
      const [oldest] = this.#inbounds.keys();
      this.#inbounds.delete(oldest);
    }
    return inbound;
  }
}

const unlimited = Number.POSITIVE_INFINITY;

function keyOf({ thingName, principal }: Identity, remoteAddress: string): string {
  if (thingName !== undefined) return `thing ${thingName}`;
  return principal === '' ? `address ${addressGroup(remoteAddress)}` : `user ${principal}`;
}
