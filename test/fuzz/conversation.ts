import { encode } from '../../src/iot/mqtt/encode.ts';
import { publishPacket, subscriptionsTo } from '../../src/iot/mqtt/gateway-world.ts';
import type { AckPacket, Packet, ProtocolVersion, PublishPacket, QoS, Will } from '../../src/iot/mqtt/packets.ts';
import { thingLimits } from '../../src/iot/things/limits.ts';
import type { FuzzRandom } from './fuzz-random.ts';
import { PacketMutator } from './packet-mutator.ts';
import type { PoolPacket } from './packet-pool.ts';

/**
 * One malformed conversation, made by chance before anything runs and plain data: what found a fault can be kept, made
 * shorter step by step, and played again when the code that made it has changed.
 */
export type Step =
  /** A new socket for that client; the one before, if any, stays as it is: half open, or fighting for the session. */
  | { readonly do: 'open'; readonly client: number }
  /** Bytes in one write, or in pieces of these sizes with time for the gateway in between. */
  | { readonly do: 'send'; readonly client: number; readonly hex: string; readonly pieces?: readonly number[] }
  | { readonly do: 'flood'; readonly client: number; readonly hex: string; readonly times: number }
  /** Acknowledges the oldest unanswered message but `nth`, rightly or wrongly. */
  | { readonly do: 'answer'; readonly client: number; readonly nth: number; readonly as: AckPacket['type'] }
  | { readonly do: 'cut' | 'end' | 'pause' | 'resume'; readonly client: number }
  | { readonly do: 'wait'; readonly ms: number }
  /** The app publishes. */
  | { readonly do: 'tell'; readonly topic: string; readonly qos: 0 | 1; readonly bytes: number }
  /** The well-behaved client says its next messages. */
  | { readonly do: 'canary' };

/** Things the hostile clients have the credentials of. */
export const hostileThings = ['h0', 'h1', 'h2'] as const;
/** Beside its own, each thing has client ids with these suffixes: more than it may have sessions. */
const suffixes = Array.from({ length: 20 }, (_, index) => `.${index}`);

/** Stands in the bytes for the secret of a thing, which only the running gateway knows. As long as one. */
export function passwordMark(thingName: string): string {
  return `PASSWORD-OF-${thingName}`.padEnd(Math.ceil((thingLimits.secretBytes * 4) / 3), '.');
}

interface Speaker {
  readonly version: ProtocolVersion;
  readonly clientId: string;
  readonly thingName: string;
}

export class ConversationMaker {
  readonly #mutator: PacketMutator;

  constructor(pool: readonly PoolPacket[]) {
    this.#mutator = new PacketMutator(pool);
  }

  make(random: FuzzRandom): Step[] {
    const ids = [anyClientId(random), anyClientId(random)]; // Few, so that they take over from each other.
    const speakers: Speaker[] = [];
    const steps: Step[] = [];
    const connect = (client: number) => {
      const clientId = random.onceIn(6) ? anyClientId(random) : random.pick(ids);
      const speaker = { version: random.onceIn(3) ? 4 : 5, clientId, thingName: clientId.split('.')[0] } as const;
      speakers[client] = speaker;
      steps.push({ do: 'open', client });
      // Packets right behind CONNECT, as clients that do not wait for CONNACK send them.
      const behind = random.onceIn(3) ? [anyPacketOf(speaker, random)] : [];
      steps.push(this.#send(client, [connectPacket(speaker, random), ...behind], speaker, random));
    };
    const clients = 2 + random.integer(3);
    for (let client = 0; client < clients; client++) connect(client);
    for (let left = 5 + random.integer(30); left > 0; left--) {
      const client = random.integer(clients);
      if (random.onceIn(10)) connect(client);
      else steps.push(this.#step(client, speakers[client], random));
    }
    return steps;
  }

  /** A flat list: what may happen next, by how often. */
  #step(client: number, speaker: Speaker, random: FuzzRandom): Step {
    const kind = random.integer(100);
    if (kind < 40) {
      const packets = Array.from({ length: 1 + random.integer(5) }, () => anyPacketOf(speaker, random));
      return this.#send(client, packets, speaker, random);
    }
    if (kind < 48) return this.#malformed(client, random);
    if (kind < 65) return { do: 'answer', client, nth: random.integer(3), as: anyAck(random) };
    if (kind < 72) return { do: random.onceIn(3) ? 'end' : 'cut', client };
    if (kind < 77) return { do: random.onceIn(2) ? 'pause' : 'resume', client };
    if (kind < 85) return { do: 'wait', ms: random.pick([0, 0, 1, 5, 20, 1_000, 2_000, 12_000]) };
    if (kind < 86) return { do: 'wait', ms: random.pick([8_000, 45_000, 100_000]) };
    if (kind < 92) {
      const topic = random.onceIn(2) ? `cmd/app/${speaker.thingName}/req` : 'chat/a';
      return { do: 'tell', topic, qos: random.onceIn(3) ? 0 : 1, bytes: anySize(random) };
    }
    if (kind < 99) return { do: 'canary' };
    const repeated = random.pick<Packet>([
      { type: 'pingreq' },
      { type: 'puback', packetId: 1 + random.integer(0xffff), reasonCode: 0 },
      publishPacket(random.pick(['chat/a', 'no/right']), 'x', { qos: random.onceIn(2) ? 0 : 1 }),
    ]);
    const hex = encode(repeated, speaker.version).toString('hex');
    return { do: 'flood', client, hex, times: 1 + random.integer(1_200) };
  }

  #send(client: number, packets: Packet[], { version }: Speaker, random: FuzzRandom): Step {
    const bytes = Buffer.concat(packets.map(packet => encode(packet, version)));
    if (random.onceIn(14)) bytes[random.integer(bytes.length)] ^= 1 << random.integer(8);
    const length = random.onceIn(14) ? random.integer(bytes.length) : bytes.length;
    return sendStep(client, bytes.subarray(0, length), random);
  }

  /** Of any version, from any side. */
  #malformed(client: number, random: FuzzRandom): Step {
    this.#mutator.make(random);
    return sendStep(client, this.#mutator.caseBytes, random);
  }
}

function sendStep(client: number, bytes: Buffer, random: FuzzRandom): Step {
  const hex = bytes.toString('hex');
  if (!random.onceIn(4) || bytes.length < 2) return { do: 'send', client, hex };
  if (random.onceIn(5) && bytes.length <= 64) return { do: 'send', client, hex, pieces: Array(bytes.length).fill(1) };
  const pieces = Array.from({ length: 1 + random.integer(4) }, () => 1 + random.integer(bytes.length));
  return { do: 'send', client, hex, pieces };
}

function anyClientId(random: FuzzRandom): string {
  const thingName = random.pick(hostileThings);
  return random.onceIn(2) ? thingName : thingName + random.pick(suffixes);
}

function anySize(random: FuzzRandom): number {
  return random.onceIn(100) ? random.integer(100_000) : random.onceIn(10) ? random.integer(3_000) : random.integer(40);
}

function connectPacket({ version, clientId, thingName }: Speaker, random: FuzzRandom): Packet {
  const will = random.onceIn(3) ? anyWill(version, thingName, random) : undefined;
  const properties =
    version === 4 || random.onceIn(4)
      ? undefined
      : {
          sessionExpiryIntervalSeconds: random.pick([0, 0, 1, 5, 60, 3_000, 0xffffffff]),
          ...(random.onceIn(3) && { receiveMaximum: 1 + random.integer(4) }),
          ...(random.onceIn(10) && { maximumPacketSizeBytes: 1 + random.integer(300) }),
          ...(random.onceIn(3) && { topicAliasMaximum: random.integer(4) }),
          ...(random.onceIn(40) && { authenticationMethod: 'any' }),
        };
  return {
    type: 'connect',
    protocolVersion: version,
    clientId,
    cleanStart: random.onceIn(3),
    keepAliveSeconds: random.pick([0, 1, 5, 30, 60, 0xffff]),
    username: random.onceIn(30) ? 'h9' : thingName,
    password: Buffer.from(random.onceIn(30) ? 'wrong' : passwordMark(thingName)),
    ...(will && { will }),
    ...(properties && { properties }),
  };
}

function anyWill(version: ProtocolVersion, thingName: string, random: FuzzRandom): Will {
  return {
    topic: random.pick([`will/${thingName}`, 'chat/will', `dt/app/${thingName}/reading`, 'will/canary']),
    payload: Buffer.from('will'),
    qos: random.onceIn(10) ? 2 : (random.integer(2) as QoS), // 0 or 1
    retain: random.onceIn(10),
    ...(version === 5 &&
      random.onceIn(2) && {
        properties: {
          willDelayIntervalSeconds: random.pick([0, 1, 4, 100]),
          ...(random.onceIn(4) && { messageExpiryIntervalSeconds: random.integer(3) }),
        },
      }),
  };
}

/** Mostly what a client may say, in a world where it may say it; now and then what it may not. A flat list. */
function anyPacketOf(speaker: Speaker, random: FuzzRandom): Packet {
  const { version, thingName } = speaker;
  const packetId = random.onceIn(8) ? random.pick([1, 0x7fff, 0xffff]) : 1 + random.integer(6);
  const kind = random.integer(100);
  if (kind < 45) return anyPublish(speaker, packetId, random);
  if (kind < 65) {
    const filters = Array.from({ length: random.onceIn(20) ? 40 : 1 + random.integer(3) }, () =>
      random.onceIn(12)
        ? random.pick(['#', '+/+', 'cmd/app/canary/#', '$SYS/#', 'will/canary/#'])
        : random.pick([
            'chat/#',
            'chat/+',
            'chat/a',
            'will/+',
            `cmd/app/${thingName}/#`,
            '$share/g/chat/#',
            'chat/a/b',
          ]),
    );
    const options =
      version === 4 ? {} : { retainHandling: random.integer(3) as 0 | 1 | 2, retainAsPublished: random.onceIn(2) };
    const subscriptions = subscriptionsTo(filters, { qos: random.integer(3) as QoS, ...options }); // below 3
    const properties =
      version === 5 && random.onceIn(8) ? { subscriptionIdentifier: 1 + random.integer(300) } : undefined;
    return { type: 'subscribe', packetId, subscriptions, ...(properties && { properties }) };
  }
  if (kind < 72) return { type: 'unsubscribe', packetId, topicFilters: [random.pick(['chat/#', 'chat/+', 'no/such'])] };
  if (kind < 80) return { type: 'pingreq' };
  if (kind < 92) return { type: anyAck(random), packetId, reasonCode: 0 };
  if (kind < 97) {
    if (version === 4) return { type: 'disconnect', reasonCode: 0 };
    const expiry = random.onceIn(2) ? { sessionExpiryIntervalSeconds: random.pick([0, 1, 60]) } : undefined;
    return { type: 'disconnect', reasonCode: random.pick([0, 0, 4, 0x80]), ...(expiry && { properties: expiry }) };
  }
  if (kind < 98) return connectPacket(speaker, random); // A second one.
  if (kind < 99 && version === 5)
    return { type: 'auth', reasonCode: 0x18, properties: { authenticationMethod: 'any' } };
  return { type: 'suback', packetId, reasonCodes: [0] }; // Which only a server may send.
}

function anyPublish({ version, thingName }: Speaker, packetId: number, random: FuzzRandom): PublishPacket {
  const allowed = ['chat/a', 'chat/b', 'chat/a/b', `will/${thingName}`, `dt/app/${thingName}/reading`];
  const forbidden = ['will/canary', 'cmd/app/canary/req', 'dt/app/canary/reading', '$SYS/x', 'no/right'];
  const qos = random.onceIn(8) ? 2 : (random.integer(2) as QoS); // 0 or 1
  const properties =
    version === 5 && random.onceIn(3)
      ? {
          ...(random.onceIn(3) && { topicAlias: 1 + random.integer(12) }),
          ...(random.onceIn(3) && { messageExpiryIntervalSeconds: random.integer(4) }),
          ...(random.onceIn(3) && { userProperties: [['__proto__', 'x'] as const, ['a', 'b'] as const] }),
          ...(random.onceIn(3) && { correlationData: Buffer.from('ca'), responseTopic: 'chat/answer' }),
        }
      : undefined;
  const isAlias = properties?.topicAlias !== undefined && random.onceIn(2);
  const topic = isAlias ? '' : random.pick(random.onceIn(10) ? forbidden : allowed);
  return publishPacket(topic, Buffer.alloc(anySize(random), 'p'), {
    qos,
    packetId: qos === 0 ? 0 : packetId,
    dup: qos !== 0 && random.onceIn(8),
    retain: random.onceIn(12),
    ...(properties && { properties }),
  });
}

function anyAck(random: FuzzRandom): AckPacket['type'] {
  return random.onceIn(2) ? 'puback' : random.pick(['pubrec', 'pubrel', 'pubcomp']);
}
