// The loads the benchmarks put on a server, and what the load generator and its parent tell each other.
// Types and one table; nothing here runs.

export interface Load {
  name: string;
  connections: number;
  inFlightPerConnection: number;
}

/** One message per round trip; a few in flight, as AWS IoT devices have; few connections that push hard. */
export const ingestLoads: readonly Load[] = [
  { name: '1000x1', connections: 1_000, inFlightPerConnection: 1 },
  { name: '1000x5', connections: 1_000, inFlightPerConnection: 5 },
  { name: '100x50', connections: 100, inFlightPerConnection: 50 },
];

/** What one connection signs in with. The client id is also the thing in the topic. */
export interface Identity {
  clientId: string;
  username: string;
  password: string;
}

export interface GeneratorPlan {
  port: number;
  payloadBytes: number;
  inFlightPerConnection: number;
  identities: readonly Identity[]; // one connection each
}

export type ToGenerator = { kind: 'open'; plan: GeneratorPlan } | { kind: 'go'; seconds: number };

export interface GeneratorResult {
  messages: number; // published, and each acknowledged
  elapsedMs: number; // from 'go' until the last PUBACK
  p50Ms: number; // from the write of a PUBLISH until its PUBACK was read
  p99Ms: number;
  cpuMs: number; // the generator's own; near elapsedMs means that it, not the server, was the limit
}
