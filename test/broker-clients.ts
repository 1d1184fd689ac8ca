/** MQTT clients that others have written, behind one interface: MQTT.js, Mosquitto's and Paho's for Python. Tests only. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import mqtt, { type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt';
import type { CertificateFiles, Scheme } from './broker-support.ts';
import { missing } from './support.ts';

export type Version = 4 | 5;
export type QoS = 0 | 1 | 2;

export interface MessageProperties {
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlationData?: string;
  readonly messageExpirySeconds?: number;
  readonly userProperties?: Readonly<Record<string, string>>;
  readonly subscriptionIdentifier?: number;
}

export interface ReceivedMessage {
  readonly topic: string;
  readonly payload: string;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties: MessageProperties;
}

export interface ClientSettings {
  readonly version: Version;
  readonly clientId: string;
  readonly scheme: Scheme;
  readonly port: number;
  /** Trusted to vouch for the server; over TLS only. */
  readonly ca?: string;
  /** Shown to the server; over TLS only. */
  readonly certificate?: CertificateFiles['client'];
  readonly username?: string;
  readonly password?: string;
  /** The session outlives the connection by an hour. */
  readonly keepsSession?: boolean;
}

export interface Subscription {
  readonly topicFilter: string;
  readonly qos: QoS;
  readonly subscriptionIdentifier?: number;
}

export interface Publication {
  readonly topic: string;
  readonly qos: QoS;
  readonly retain?: boolean;
  readonly properties?: MessageProperties;
}

export interface Will {
  readonly topic: string;
  readonly payload: string;
}

/** A client that is connected and subscribed. */
export interface Listening {
  readonly inbox: Inbox;
  /** Ends with DISCONNECT. */
  stop(): Promise<void>;
}

export interface ClientLibrary {
  readonly name: string;
  /** "skipped: needs …", or false. */
  readonly missing: string | false;
  readonly schemes: readonly Scheme[];
  /** Resolves when the subscriptions are granted; rejects when the client is not let in. */
  listen(settings: ClientSettings, subscriptions: readonly Subscription[]): Promise<Listening>;
  /** Connects, publishes one message for each payload, in order, and leaves when all are acknowledged. */
  publish(settings: ClientSettings, publication: Publication, payloads: readonly string[]): Promise<void>;
  /** Connects with a will (QoS 1) and ends: with DISCONNECT, or without a word. */
  endWithWill(settings: ClientSettings, will: Will, end: 'leaves' | 'dies'): Promise<void>;
  /** Ends all of its processes. */
  close(): void;
}

const patienceMs = 20_000; // For what should take milliseconds, on a machine that others use too.

/** What a client has received, in order. */
export class Inbox {
  readonly received: ReceivedMessage[] = [];
  readonly #name: string;
  #waiting: (() => void)[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  push(message: ReceivedMessage): void {
    this.received.push(message);
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** The messages of which that is true, as soon as there are `count`. */
  async take(count: number, isIt: (message: ReceivedMessage) => boolean = () => true): Promise<ReceivedMessage[]> {
    const untilMs = performance.now() + patienceMs;
    for (;;) {
      const found = this.received.filter(isIt);
      if (found.length >= count) return found;
      const leftMs = untilMs - performance.now();
      if (leftMs <= 0) throw new Error(`${this.#name} has received ${found.length} of ${count} messages.`);
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, leftMs);
        this.#waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }
}

// --- MQTT.js --------------------------------------------------------------------------------------------------------

function mqttJsOptions(settings: ClientSettings, will?: Will): IClientOptions {
  const { version, clientId, ca, certificate, username, password, keepsSession = false } = settings;
  return {
    protocolVersion: version,
    clientId,
    username,
    password,
    clean: !keepsSession,
    reconnectPeriod: 0,
    connectTimeout: patienceMs,
    ...(ca && { ca: readFileSync(ca), rejectUnauthorized: true }),
    ...(certificate && { cert: readFileSync(certificate.certificate), key: readFileSync(certificate.key) }),
    ...(version === 5 && keepsSession && { properties: { sessionExpiryInterval: 3_600 } }),
    ...(will && { will: { ...will, payload: Buffer.from(will.payload), qos: 1 as const, retain: false } }),
  };
}

function urlOf({ scheme, port }: ClientSettings): string {
  return `${scheme}://127.0.0.1:${port}${scheme.startsWith('ws') ? '/mqtt' : ''}`;
}

/** Connects with MQTT.js; `listen` is called before anything can arrive. */
export async function connectMqttJs(
  settings: ClientSettings,
  options: IClientOptions = {},
  listen: (client: MqttClient) => void = () => {},
): Promise<MqttClient> {
  const client = mqtt.connect(urlOf(settings), { ...mqttJsOptions(settings), ...options });
  listen(client);
  await new Promise<void>((resolve, reject) => {
    client.once('connect', () => resolve());
    client.once('error', reject);
    client.once('close', () => reject(new Error(`${settings.clientId} was closed.`)));
  }).catch(async error => {
    await client.endAsync(true);
    throw error;
  });
  client.on('error', () => {}); // What happens to the connection later is told by what is missing.
  return client;
}

/** Packets come from the broker, which has put no other number there. */
function mqttJsMessage(topic: string, payload: Buffer, { qos, retain, properties }: IPublishPacket): ReceivedMessage {
  const identifier = properties?.subscriptionIdentifier;
  return {
    topic,
    payload: payload.toString(),
    qos,
    retain,
    properties: {
      contentType: properties?.contentType,
      responseTopic: properties?.responseTopic,
      correlationData: properties?.correlationData?.toString(),
      messageExpirySeconds: properties?.messageExpiryInterval,
      userProperties: properties?.userProperties && ({ ...properties.userProperties } as Record<string, string>), // None is sent twice.
      subscriptionIdentifier: Array.isArray(identifier) ? identifier[0] : identifier,
    },
  };
}

function mqttJsProperties(properties: MessageProperties): IPublishPacket['properties'] {
  const { contentType, responseTopic, correlationData, messageExpirySeconds, userProperties } = properties;
  return {
    ...(contentType !== undefined && { contentType }),
    ...(responseTopic !== undefined && { responseTopic }),
    ...(correlationData !== undefined && { correlationData: Buffer.from(correlationData) }),
    ...(messageExpirySeconds !== undefined && { messageExpiryInterval: messageExpirySeconds }),
    ...(userProperties && { userProperties: { ...userProperties } }),
  };
}

export const mqttJs: ClientLibrary = {
  name: 'MQTT.js',
  missing: false,
  schemes: ['mqtt', 'mqtts', 'ws', 'wss'],
  async listen(settings, subscriptions) {
    const inbox = new Inbox(settings.clientId);
    const client = await connectMqttJs(settings, {}, connecting =>
      connecting.on('message', (topic, payload, packet) => inbox.push(mqttJsMessage(topic, payload, packet))),
    );
    for (const { topicFilter, qos, subscriptionIdentifier } of subscriptions) {
      const properties = subscriptionIdentifier === undefined ? undefined : { subscriptionIdentifier };
      const [granted] = await client.subscribeAsync(topicFilter, { qos, properties });
      assert.equal(granted.qos, qos);
    }
    return { inbox, stop: () => client.endAsync() };
  },
  async publish(settings, { topic, qos, retain = false, properties }, payloads) {
    const client = await connectMqttJs(settings);
    const options = { qos, retain, properties: properties && mqttJsProperties(properties) };
    try {
      await Promise.all(payloads.map(payload => client.publishAsync(topic, payload, options)));
    } finally {
      await client.endAsync();
    }
  },
  async endWithWill(settings, will, end) {
    const client = await connectMqttJs(settings, mqttJsOptions(settings, will));
    if (end === 'leaves') await client.endAsync();
    else client.stream.destroy();
  },
  close() {},
};

// --- Mosquitto ------------------------------------------------------------------------------------------------------

function mosquittoArgs(settings: ClientSettings): string[] {
  const { version, clientId, port, ca, certificate, username, password, keepsSession } = settings;
  return [
    ...['-h', '127.0.0.1', '-p', `${port}`, '-V', version === 5 ? '5' : 'mqttv311', '-i', clientId],
    ...(ca ? ['--cafile', ca] : []),
    ...(certificate ? ['--cert', certificate.certificate, '--key', certificate.key] : []),
    ...(username === undefined ? [] : ['-u', username]),
    ...(password === undefined ? [] : ['-P', password]),
    ...(keepsSession ? ['-c'] : []),
    ...(keepsSession && version === 5 ? ['-x', '3600'] : []),
  ];
}

function mosquittoProperties(properties: MessageProperties): string[] {
  const { contentType, responseTopic, correlationData, messageExpirySeconds, userProperties = {} } = properties;
  return [
    ...(contentType === undefined ? [] : ['content-type', contentType]),
    ...(responseTopic === undefined ? [] : ['response-topic', responseTopic]),
    ...(correlationData === undefined ? [] : ['correlation-data', correlationData]),
    ...(messageExpirySeconds === undefined ? [] : ['message-expiry-interval', `${messageExpirySeconds}`]),
  ]
    .flatMap((part, at) => (at % 2 === 0 ? ['-D', 'publish', part] : [part]))
    .concat(Object.entries(userProperties).flatMap(([name, value]) => ['-D', 'publish', 'user-property', name, value]));
}

/** A line of `mosquitto_sub -F %j`. */
function mosquittoMessage(line: string): ReceivedMessage {
  const { topic, payload, qos, retain, properties = {} } = JSON.parse(line);
  return {
    topic,
    payload,
    qos,
    retain: retain === 1,
    properties: {
      contentType: properties['content-type'],
      responseTopic: properties['response-topic'],
      correlationData: properties['correlation-data'],
      messageExpirySeconds: properties['message-expiry-interval'],
      userProperties: properties['user-properties'],
      subscriptionIdentifier: properties['subscription-identifier'],
    },
  };
}

/** Those that have not ended: a test that fails does not stop what it has started. */
const mosquittoSubs = new Set<ChildProcess>();

interface MosquittoSub {
  readonly child: ChildProcess;
  readonly inbox: Inbox;
}

/** Its process, when everything is granted. */
async function mosquittoSub(
  settings: ClientSettings,
  subscriptions: readonly Subscription[],
  more: readonly string[] = [],
): Promise<MosquittoSub> {
  assert(new Set(subscriptions.map(({ qos }) => qos)).size === 1, 'mosquitto_sub has one QoS');
  const asked = subscriptions.flatMap(({ topicFilter, subscriptionIdentifier }) => [
    ...['-t', topicFilter],
    ...(subscriptionIdentifier === undefined
      ? []
      : ['-D', 'subscribe', 'subscription-identifier', `${subscriptionIdentifier}`]),
  ]);
  const args = [...mosquittoArgs(settings), ...asked, '-q', `${subscriptions[0].qos}`, '-d', '-F', '%j', ...more];
  // By itself it gives lines to a pipe only when a message comes. stdbuf becomes the program it starts.
  const child = spawn('stdbuf', ['-oL', 'mosquitto_sub', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  mosquittoSubs.add(child);
  child.once('exit', () => mosquittoSubs.delete(child));
  const inbox = new Inbox(settings.clientId);
  let said = '';
  let newest = '';
  child.stderr.on('data', bytes => (said += bytes));
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', line => {
      if (line.startsWith('{')) {
        // Its handler of SIGTERM may write once more what is just being written. The line has microseconds in it.
        if (line !== newest) inbox.push(mosquittoMessage(line));
        newest = line;
        return;
      }
      const granted = /^Subscribed \(mid: \d+\): (.*)$/.exec(line)?.[1]; // One SUBSCRIBE holds all.
      if (granted !== undefined) {
        const asGranted = subscriptions.map(({ qos }) => qos).join(', ');
        return granted === asGranted ? resolve() : reject(new Error(`${settings.clientId} was granted ${granted}.`));
      }
      if (!line.startsWith('Client ')) said += `${line}\n`;
    });
    child.once('close', code => reject(new Error(`mosquitto_sub ended with ${code}: ${said}`)));
  });
  return { child, inbox };
}

/** At SIGTERM it says DISCONNECT. */
async function ended(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

export const mosquitto: ClientLibrary = {
  name: 'mosquitto',
  missing: missing('mosquitto_sub'),
  schemes: ['mqtt', 'mqtts'], // The clients of Mosquitto 2.0 have no WebSocket.
  async listen(settings, subscriptions) {
    const { child, inbox } = await mosquittoSub(settings, subscriptions);
    return { inbox, stop: () => ended(child, 'SIGTERM') };
  },
  async publish(settings, { topic, qos, retain, properties }, payloads) {
    const [first, ...rest] = payloads;
    const args = [
      ...mosquittoArgs(settings),
      ...['-t', topic, '-q', `${qos}`],
      ...(retain ? ['-r'] : []),
      ...(properties ? mosquittoProperties(properties) : []),
      ...(first === '' ? ['-n'] : rest.length === 0 ? ['-s'] : ['-l']),
    ];
    const child = spawn('mosquitto_pub', args, { stdio: ['pipe', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', bytes => (said += bytes));
    child.stdin.on('error', () => {}); // It has ended; its exit code says why.
    child.stdin.end(payloads.join('\n'));
    const [code] = await once(child, 'close');
    if (code !== 0 || /warning|error/i.test(said)) throw new Error(`mosquitto_pub ended with ${code}: ${said}`);
  },
  async endWithWill(settings, { topic, payload }, end) {
    const will = ['--will-topic', topic, '--will-payload', payload, '--will-qos', '1'];
    if (end === 'dies') {
      const { child } = await mosquittoSub(settings, [{ topicFilter: topic, qos: 0 }], will);
      return ended(child, 'SIGKILL');
    }
    // Not mosquitto_sub: what it says at SIGTERM is "publish my will" where the version has a word for that.
    const args = [...mosquittoArgs(settings), ...will, '-t', `${topic}/other`, '-n'];
    const [code] = await once(spawn('mosquitto_pub', args, { stdio: 'ignore' }), 'exit');
    assert.equal(code, 0);
  },
  close() {
    for (const child of mosquittoSubs) child.kill('SIGKILL');
  },
};

// --- Paho -----------------------------------------------------------------------------------------------------------

const python = '/usr/bin/python3'; // Debian's, which sees Debian's packages.

interface PahoMessage {
  readonly topic: string;
  readonly payload: string;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** test/paho-client.py, which runs any number of clients. */
class PahoProcess {
  readonly #child: ChildProcess;
  readonly #inboxes = new Map<string, Inbox>();
  readonly #answers = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  #nextId = 1;

  constructor() {
    const child = spawn(python, ['test/paho-client.py'], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child = child;
    child.stdin.on('error', () => {}); // It has ended; whoever waits is told below.
    createInterface({ input: child.stdout }).on('line', line => this.#hear(JSON.parse(line)));
    child.once('exit', code => {
      for (const { reject } of this.#answers.values()) reject(new Error(`Python ended with ${code}.`));
    });
  }

  #hear(line: { id?: number; error?: string; result?: unknown; event?: string; client?: string }): void {
    if (line.event === 'message') {
      // What it says of a message is what `on_message` there puts together.
      this.#inboxes.get(line.client ?? '')?.push(pahoMessage(line as unknown as PahoMessage));
    } else if (line.id !== undefined) {
      const answer = this.#answers.get(line.id);
      this.#answers.delete(line.id);
      if (line.error === undefined) answer?.resolve(line.result);
      else answer?.reject(new Error(line.error));
    }
  }

  /** @returns what the function of that name in test/paho-client.py returns. */
  run(command: Readonly<Record<string, unknown>>): Promise<unknown> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#answers.set(id, { resolve, reject });
      this.#child.stdin?.write(`${JSON.stringify({ id, ...command })}\n`);
    });
  }

  async connect(settings: ClientSettings, will?: Will): Promise<Inbox> {
    const { version, clientId, scheme, port, ca, certificate, username, password, keepsSession = false } = settings;
    const inbox = new Inbox(clientId);
    this.#inboxes.set(clientId, inbox);
    const answer = await this.run({
      do: 'connect',
      client: clientId,
      settings: {
        ...{ version, clientId, port, ca, username, password },
        transport: scheme.startsWith('ws') ? 'websockets' : 'tcp',
        ...certificate,
        clean: !keepsSession,
        properties: keepsSession ? { SessionExpiryInterval: 3_600 } : undefined,
        will: will && { ...will, qos: 1, retain: false },
      },
    });
    const { code } = answer as { code: number }; // `on_connect` there.
    if (code !== 0) throw new Error(`${clientId} was refused with ${code}.`);
    return inbox;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

function pahoMessage({ topic, payload, qos, retain, properties }: PahoMessage): ReceivedMessage {
  const { ContentType, ResponseTopic, CorrelationData, MessageExpiryInterval, UserProperty, SubscriptionIdentifier } =
    properties as Readonly<Record<string, never>>; // Undefined or of the type that each property has in Paho.
  return {
    topic,
    payload: Buffer.from(payload, 'base64').toString(),
    qos,
    retain,
    properties: {
      contentType: ContentType,
      responseTopic: ResponseTopic,
      correlationData: CorrelationData && Buffer.from(CorrelationData, 'base64').toString(),
      messageExpirySeconds: MessageExpiryInterval,
      userProperties: UserProperty && Object.fromEntries(UserProperty),
      subscriptionIdentifier: SubscriptionIdentifier?.[0],
    },
  };
}

function pahoProperties(properties: MessageProperties): Record<string, unknown> {
  const { contentType, responseTopic, correlationData, messageExpirySeconds, userProperties } = properties;
  return {
    ...(contentType !== undefined && { ContentType: contentType }),
    ...(responseTopic !== undefined && { ResponseTopic: responseTopic }),
    ...(correlationData !== undefined && { CorrelationData: Buffer.from(correlationData).toString('base64') }),
    ...(messageExpirySeconds !== undefined && { MessageExpiryInterval: messageExpirySeconds }),
    ...(userProperties && { UserProperty: Object.entries(userProperties) }),
  };
}

function missingPaho(): string | false {
  const found = spawnSync(python, ['-c', 'import paho.mqtt.client']).status === 0;
  return found ? false : 'skipped: needs python3-paho-mqtt';
}

let pahoProcess: PahoProcess | undefined;

function allPahos(): PahoProcess {
  pahoProcess ??= new PahoProcess();
  return pahoProcess;
}

export const paho: ClientLibrary = {
  name: 'Paho',
  missing: missingPaho(),
  schemes: ['mqtt', 'mqtts', 'ws', 'wss'],
  async listen(settings, subscriptions) {
    const driver = allPahos();
    const inbox = await driver.connect(settings);
    const client = settings.clientId;
    for (const { topicFilter, qos, subscriptionIdentifier } of subscriptions) {
      const properties =
        subscriptionIdentifier === undefined ? undefined : { SubscriptionIdentifier: subscriptionIdentifier };
      const granted = await driver.run({ do: 'subscribe', client, filter: topicFilter, qos, properties });
      assert.deepEqual(granted, [qos]);
    }
    const stop = async () => {
      await driver.run({ do: 'disconnect', client });
    };
    return { inbox, stop };
  },
  async publish(settings, { topic, qos, retain = false, properties }, payloads) {
    const driver = allPahos();
    await driver.connect(settings);
    const client = settings.clientId;
    const given = properties && pahoProperties(properties);
    const messages = payloads.map(payload => {
      return { topic, qos, retain, properties: given, payload: Buffer.from(payload).toString('base64') };
    });
    try {
      await driver.run({ do: 'publish', client, messages });
    } finally {
      await driver.run({ do: 'disconnect', client });
    }
  },
  async endWithWill(settings, will, end) {
    const own = new PahoProcess(); // One that takes no other client with it.
    try {
      await own.connect(settings, will);
      if (end === 'leaves') await own.run({ do: 'disconnect', client: settings.clientId });
    } finally {
      own.kill();
    }
  },
  close() {
    pahoProcess?.kill();
    pahoProcess = undefined;
  },
};

export const libraries: readonly ClientLibrary[] = [mqttJs, mosquitto, paho];
