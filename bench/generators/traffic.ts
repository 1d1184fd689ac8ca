// What the traffic generator and its parent tell each other. Types only.

/**
 * Publishers and subscribers, and which of a publisher's topics it publishes to in turn. All topics are of one length,
 * so that all packets are, and each matches exactly `deliveriesPerMessage` of the subscriptions.
 */
export interface TrafficPlan {
  port: number;
  qos: 0 | 1;
  payloadBytes: number;
  subscribers: readonly { clientId: string; topicFilters: readonly string[] }[];
  publishers: readonly { clientId: string; topics: readonly string[] }[];
  deliveriesPerMessage: number;
  /** Messages of one publisher that not everybody has received yet (and, with QoS 1, the server not acknowledged). */
  window: number;
}

/** 16,384 packet ids are enough for four windows. */
export const windowMax = 4_096;

export type TrafficRequest = { kind: 'open'; plan: TrafficPlan } | { kind: 'go'; seconds: number };

export interface TrafficResult {
  messages: number;
  deliveries: number; // each checked to be one that was awaited
  elapsedMs: number; // from 'go' until the last was received
  p50Ms: number; // from the write of a PUBLISH until its last subscriber had it
  p99Ms: number;
  cpuMs: number; // the generator's own; near elapsedMs means that it, not the server, was the limit
}

export const noTraffic: TrafficResult = { messages: 0, deliveries: 0, elapsedMs: 0, p50Ms: 0, p99Ms: 0, cpuMs: 0 };
