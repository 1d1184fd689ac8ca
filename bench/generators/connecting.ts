// What the connect generator and its parent tell each other. Types only.
import type { Target } from './generator-connection.ts';

export type ConnectRequest =
  /** Connects for so long, `atOnce` at a time; of those connected the oldest leaves when there are more than `openMax`. */
  | { kind: 'rate'; target: Target; seconds: number; atOnce: number; openMax: number }
  /** Makes persistent sessions with one subscription each, leaves them, and publishes one message to each. */
  | { kind: 'prepare'; target: Target; sessions: number; atOnce: number; payloadBytes: number }
  /** Takes the sessions up again and waits for the messages. */
  | { kind: 'resume'; target: Target; sessions: number; atOnce: number; payloadBytes: number };

export interface ConnectResult {
  connects: number;
  sessionsPresent: number;
  messagesReceived: number;
  elapsedMs: number;
  p50Ms: number; // from connect(2) until the CONNACK was read
  p99Ms: number;
  cpuMs: number; // the generator's own
}
