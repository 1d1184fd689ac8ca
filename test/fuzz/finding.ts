import type { Peer } from '../../src/iot/mqtt/fixed-header.ts';
import type { ProtocolVersion } from '../../src/iot/mqtt/packets.ts';
import type { Step } from './conversation.ts';

export type Campaign = 'packets' | 'sessions';

/** A promise that was broken, and all that is needed to see it broken again. */
export interface Finding {
  readonly campaign: Campaign;
  readonly seed: number;
  readonly index: number;
  /** The promise, in words that do not depend on the case. */
  readonly oracle: string;
  readonly message: string;
  /** Shown to the person who finds it. */
  readonly replay: string;
  /** Of a packet: what decoded it, and its bytes. */
  readonly packet?: PacketCase;
  /** Of sessions: the conversations of one gateway, made as short as they still break it. */
  readonly conversations?: readonly (readonly Step[])[];
}

export interface PacketCase {
  readonly version: ProtocolVersion | 0;
  readonly from: Peer;
  readonly packetBytesMax: number;
  readonly hex: string;
}

/** More of them say no more. */
export const findingsMax = 10;

export function replayOf(campaign: Campaign, seed: number, index: number): string {
  return `npm run fuzz -- mqtt --seed ${seed} ${campaign === 'packets' ? '--only' : '--only-session'} ${index}`;
}
