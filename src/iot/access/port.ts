import type { PartitionKeyStrategy } from '../port.ts';

/**
 * Who a client is and what it may do: the one authority behind every door (MQTT, WebSocket, HTTP). Engines: the
 * registered things with the app's policy (`things/`), password and ACL files as Mosquitto has them (`files.ts`).
 * Unknown means no.
 */
export interface Access {
  /** Changes with every change of the rules: a remembered verdict of another version counts no more. */
  readonly version: number;
  /** Whether `mayReceive` can ever say no to a topic that a granted filter matches; if not, it is never asked. */
  readonly checksDeliveries: boolean;
  /** Whether a client may leave its id to the server. If not, an empty one is refused before `authenticate`. */
  readonly assignsClientIds: boolean;
  /** May take time (a slow hash, off this thread); never rejects: what goes wrong is a refusal. */
  authenticate(attempt: ConnectAttempt): Admission | Promise<Admission>;
  /** Whether someone let in earlier would still be: asked for the connected ones when the rules have changed. */
  isStillAllowed(identity: Identity): boolean;
  judgePublish(identity: Identity, topic: string): PublishVerdict;
  /** Both without the `$share/name/` in front. */
  maySubscribe(identity: Identity, topicFilter: string): boolean;
  mayReceive(identity: Identity, topic: string): boolean;
  /** The thing in whose name the backend itself publishes telemetry on `topic`; undefined when it is no telemetry. */
  telemetryOn?(topic: string): TelemetryTarget | undefined;
  /** All that a client may subscribe to, for one that does not say what it wants. Absent where it cannot be told. */
  filtersOf?(identity: Identity): readonly string[];
}

/** Whose telemetry it is, and how it is keyed in the stream, if not by that thing. */
export interface TelemetryTarget {
  readonly thingName: string;
  readonly partitionKey?: PartitionKeyStrategy;
}

/** What a client brings to the door. */
export interface ConnectAttempt {
  /** Never empty: where the client left it to the server, the assigned one. */
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: Uint8Array | undefined;
  /** Verified by the TLS listener against its CA; undefined without TLS or when the client showed none. */
  readonly certificate: ClientCertificate | undefined;
  readonly remoteAddress: string;
}

/** The X.509 certificate a client proved to own. */
export interface ClientCertificate {
  /** Hex SHA-256 of the DER form: AWS IoT's certificate id. */
  readonly certificateId: string;
  /** Of the subject; undefined when there is none or more than one. */
  readonly commonName: string | undefined;
}

/** Who was let in. Plain data, so that it can be stored with a session and compared. */
export interface Identity {
  readonly clientId: string;
  /** The thing whose rights the client has; undefined where clients are not things. */
  readonly thingName: string | undefined;
  /** Who vouched: the certificate id, the user name, or '' for an anonymous client. AWS IoT's principalIdentifier. */
  readonly principal: string;
}

export type Admission =
  | { readonly admitted: true; readonly identity: Identity }
  | { readonly admitted: false; readonly reason: AdmissionRefusal };

/** In the words of MQTT 5: 0x85, 0x86, 0x87, 0x89. */
export type AdmissionRefusal = 'clientIdentifierNotValid' | 'badUserNameOrPassword' | 'notAuthorized' | 'serverBusy';

/** What the rules say of one topic a client publishes to. */
export interface PublishVerdict {
  readonly allowed: boolean;
  /** It is telemetry: it goes into the stream and is acknowledged once durable there. */
  readonly ingest: boolean;
  /** How telemetry is keyed in the stream, if not by its thing. */
  readonly partitionKey?: PartitionKeyStrategy;
}
