/** Lifecycle events in AWS IoT Core's words and payloads ("Lifecycle events"): who came, went, subscribed. */
export const lifecycleTopics = {
  connected: '$aws/events/presence/connected/',
  disconnected: '$aws/events/presence/disconnected/',
  connect_failed: '$aws/events/presence/connect_failed/',
  subscribed: '$aws/events/subscriptions/subscribed/',
  unsubscribed: '$aws/events/subscriptions/unsubscribed/',
} as const;

interface LifecycleFacts {
  readonly clientId: string;
  readonly thingName: string | undefined;
  readonly principalIdentifier: string;
  readonly sessionIdentifier: string;
  /** The same in a connect and its disconnect: a disconnect with a smaller one than the last connect is stale. */
  readonly versionNumber: number;
}

export type LifecycleEvent =
  | (LifecycleFacts & { readonly eventType: 'connected'; readonly ipAddress: string })
  | (LifecycleFacts & {
      readonly eventType: 'disconnected';
      readonly clientInitiatedDisconnect: boolean;
      readonly disconnectReason: DisconnectReason;
    })
  | (LifecycleFacts & { readonly eventType: 'connect_failed'; readonly connectFailureReason: 'AUTHORIZATION_FAILED' })
  | (LifecycleFacts & { readonly eventType: 'subscribed' | 'unsubscribed'; readonly topics: readonly string[] });

export type DisconnectReason =
  | 'CLIENT_INITIATED_DISCONNECT'
  | 'CONNECTION_LOST'
  | 'MQTT_KEEP_ALIVE_TIMEOUT'
  | 'DUPLICATE_CLIENTID'
  | 'CLIENT_ERROR'
  | 'AUTH_ERROR'
  | 'FORBIDDEN_ACCESS'
  | 'SERVER_ERROR'
  | 'SERVER_INITIATED_DISCONNECT'
  | 'THROTTLED';

/** The event as AWS sends it; `timestamp` in Unix epoch milliseconds. */
export function lifecyclePayload(event: LifecycleEvent, timestamp: number): Buffer {
  const { versionNumber, ...facts } = event;
  const hasVersion = event.eventType === 'connected' || event.eventType === 'disconnected';
  return Buffer.from(JSON.stringify({ ...facts, timestamp, ...(hasVersion ? { versionNumber } : {}) }));
}

/** Undefined for a client id that cannot be part of a topic: AWS sends no events of it either. */
export function lifecycleTopic({ eventType, clientId }: LifecycleEvent): string | undefined {
  return /[+#]/.test(clientId) || clientId === '' ? undefined : lifecycleTopics[eventType] + clientId;
}
