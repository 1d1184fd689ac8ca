import type { Cause } from '../kernel/causes.ts';

/**
 * What the app half may ask of the IoT half: the parts of the AWS IoT data plane and control plane that apps use.
 * Engines: the gateway thread (local/), the AWS IoT SDK clients (later).
 */
export interface Iot {
  /**
   * Sends one message to whoever subscribes to its topic. QoS 1 is queued for offline persistent sessions. On a topic of
   * telemetry it goes into the stream, as that of the thing it names, and resolves when it is durable there; functions
   * are run for it. Throws `ingest.refused`.
   */
  publish(message: OutgoingMessage): Promise<PublishReceipt>;
  /** Registers a thing with a fresh secret, which only this answer holds. Throws `thing.exists`, `thing.nameNotValid`. */
  createThing(thingName: string): Promise<ThingCredentials>;
  /** Removes the thing and closes its connection. Content if there was none. */
  deleteThing(thingName: string): Promise<void>;
  /** Who of `thingNames` is connected at this moment, in the same order. */
  listConnections(thingNames: readonly string[]): Promise<ConnectionState[]>;
  /** The gateway's own counts since it started, e.g. `mqtt.refused.notAuthorized`. */
  counters(): Promise<Record<string, number>>;
}

export interface OutgoingMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1;
  /** Kept for whoever subscribes later; an empty payload deletes what was kept. Default: false. */
  readonly retain?: boolean;
  /** The message is worth nothing after this long; absent = never expires. */
  readonly messageExpirySeconds?: number;
  /** What led to it. Filled in by the runtime of the app. */
  readonly cause?: Cause;
}

export interface PublishReceipt {
  /** Connected sessions that the message was handed to; 0 means nobody who is there now asked for it. */
  readonly subscribers: number;
}

export interface ThingCredentials {
  /** The MQTT client id, which is the thing's name. */
  readonly clientId: string;
  readonly username: string;
  readonly password: string;
}

export interface ConnectionState {
  readonly thingName: string;
  readonly connected: boolean;
  /** Since when it is as it is, Unix epoch milliseconds; undefined when it was not seen since the gateway started. */
  readonly sinceMs?: number;
}

/** What a device may do, as topic filters in which the level `{thing}` stands for the device's own name. */
export interface DevicePolicy {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  /** Which publishes are telemetry, i.e. go into the stream and are acknowledged once durable there. */
  readonly ingest: readonly string[];
  /** Of telemetry that is not keyed by its thing: the first filter that matches decides. */
  readonly partitionKeys?: readonly { readonly topicFilter: string; readonly partitionKey: PartitionKeyStrategy }[];
}

/**
 * What decides which messages stay in order with each other. `thing`: those of a thing. `random`: none, for sources that put
 * one name on everything. `{ field }`: those with the same value at this path of their JSON, e.g. `device.id`; what has
 * none there is keyed by its thing.
 */
export type PartitionKeyStrategy = 'thing' | 'random' | { readonly field: string };
