import v8 from 'node:v8';
import { awsLimits, brokerLimits } from '../../src/iot/mqtt/broker-limits.ts';
import { Connection } from '../../src/iot/mqtt/connection.ts';
import { encode } from '../../src/iot/mqtt/encode.ts';
import { GatewayWorld, type GatewayWorldOptions } from '../../src/iot/mqtt/gateway-world.ts';
import { mqttLimits } from '../../src/iot/mqtt/limits.ts';
import { Session } from '../../src/iot/mqtt/session.ts';
import { messageOf } from '../../src/kernel/errors.ts';
import type { VirtualClock } from '../../src/kernel/virtual-clock.ts';
import { Canary } from './canary.ts';
import { hostileThings, passwordMark, type Step } from './conversation.ts';
import { HostileClient } from './hostile-client.ts';
import { Broken } from './packet-oracles.ts';

const worldLimits = {
  timersMax: 256, // ours: a timer per session and will, one per connection, and what is on its way
  timersAtRestMax: 8, // ours: the gateway's own periodic ones
  sessionsPerThingMax: brokerLimits.sessionsPerThingMax + 1, // its own is always free
  // Answers, a message at its largest, and the answers of one turn may stand over the cap.
  bufferedBytesMax: brokerLimits.bufferedAnswersBytesMax + mqttLimits.packetBytesMax + 1024 * 1024,
  fanOut: 300, // ours: more than a list of recipients keeps its places for
  pingEveryMs: 900_000, // under the longest keep alive
} as const;

const unlimited = Number.POSITIVE_INFINITY;

/**
 * Gateways that differ in what they promise. AWS's rates are left out, which would slow the canary down as well; so is,
 * but there, the slow-down of take-overs, which most connections of a conversation would spend waiting.
 */
const eager = { ...brokerLimits, takeoversPerMinuteMax: unlimited };
const kinds = {
  inMemory: { limits: eager },
  durable: { limits: eager, durable: true },
  likeAws: {
    limits: {
      ...awsLimits,
      publishesPerSecondMax: unlimited,
      publishBytesPerSecondMax: unlimited,
      totalPublishesPerSecondMax: unlimited,
      connectsPerSecondMax: unlimited,
      connectsPerClientPerSecondMax: unlimited,
    },
  },
} as const satisfies Record<string, GatewayWorldOptions>;
export type GatewayKind = keyof typeof kinds;
export const gatewayKinds = ['inMemory', 'durable', 'likeAws'] as const satisfies GatewayKind[];

/**
 * None: for a promise that is broken before. Quick: an hour passes, and the things whose sessions live longer are deleted. Thorough: eight days outlive every
 * session, and what is left is counted in the heap, which takes as long as the conversations of ten worlds.
 */
export const thoroughPromises = {
  limit: 'sessions stay within the limit',
  sessions: 'no session outlives its time',
  connections: 'no connection is kept',
} as const;
export type Ending = 'none' | 'quick' | 'thorough';
const hourMs = 3_700_000; // and a little: past the default expiry of 3.1.1
const eightDaysMs = 8 * 24 * 3_600_000;

/** One gateway, its canary, and conversations one after the other that share its sessions and its secrets. */
export class FuzzWorld {
  readonly #world: GatewayWorld;
  /** Undefined once it has ended: through its socket it would keep its session in the heap. */
  #canary: Canary | undefined;
  readonly #pending: () => number;
  readonly #passwords: { mark: Buffer; password: Buffer }[] = [];
  #clients: (HostileClient | undefined)[] = [];
  /** Sockets whose client was given a new one. */
  #left: HostileClient[] = [];
  #commands = 0;

  private constructor(world: GatewayWorld, canary: Canary, pending: () => number) {
    this.#world = world;
    this.#canary = canary;
    this.#pending = pending;
  }

  static async start(kind: GatewayKind): Promise<FuzzWorld> {
    const world = await GatewayWorld.start(kinds[kind]);
    const pending = countTimers(world.clock);
    const fuzz = new FuzzWorld(world, await Canary.start(world), pending);
    for (const thingName of hostileThings) {
      const password = Buffer.from((await world.thing(thingName)).password);
      const mark = Buffer.from(passwordMark(thingName));
      if (password.length !== mark.length) throw new Error('A secret is not as long as its mark: see passwordMark.');
      fuzz.#passwords.push({ mark, password });
    }
    return fuzz;
  }

  /** Plays it, ends its clients, and looks at every promise. Throws `Broken`. */
  async play(steps: readonly Step[]): Promise<void> {
    this.#world.logged.length = 0;
    for (const step of steps) {
      await this.#take(step);
      this.#checkWhileRunning();
    }
    await this.#world.durable();
    this.#checkEnded();
    for (const client of this.#all) client.socket.destroy();
    this.#clients = [];
    this.#left = [];
    await this.#world.durable();
    await this.#checkCanary();
    this.#checkWhileRunning();
    const { size } = this.#world.gateway.connections;
    if (size !== 1) throw new Broken('a closed connection is forgotten', `${size} connections, one canary`);
    const states = await this.#world.gateway.listConnections([...hostileThings, 'canary']);
    const shown = states.flatMap(({ thingName, connected }) => (connected ? [thingName] : []));
    if (shown.join() !== 'canary') throw new Broken('nobody is shown in the wrong state', shown);
  }

  /** Lets every session come to its end and looks for what is left. */
  async end(ending: Ending): Promise<void> {
    const world = this.#world;
    if (ending === 'none') return world.gateway.halt();
    await this.#canary?.checkStream();
    this.#canary?.end();
    await world.settle();
    this.#canary = undefined;
    world.sockets.cut(); // The double for the network remembers what was open; the gateway must not.
    await world.settle();
    if (ending === 'quick') {
      await world.advance(hourMs);
      for (const thingName of hostileThings) await world.clock.until(world.gateway.deleteThing(thingName));
      await world.durable();
    } else {
      const max = hostileThings.length * worldLimits.sessionsPerThingMax;
      expectAtMost(max, Session, thoroughPromises.limit);
      await world.advance(eightDaysMs);
    }
    this.#checkWhileRunning();
    const pending = this.#pending();
    if (pending > worldLimits.timersAtRestMax) throw new Broken('no timer outlives its session', pending);
    for (const topic of ['chat/a', 'chat/a/b', 'will/h0', 'will/canary', 'cmd/app/h1/req', 'cmd/app/canary/req']) {
      const told = await world.clock.until(world.gateway.publish({ topic, payload: Buffer.from('x'), qos: 1 }));
      if (told.subscribers !== 0) throw new Broken('nobody listens when everybody is gone', topic);
    }
    if (ending === 'thorough') {
      await this.#fanOut();
      expectAtMost(0, Session, thoroughPromises.sessions);
      expectAtMost(0, Connection, thoroughPromises.connections);
    }
    world.gateway.halt();
  }

  /** How much happened: conversations that are all refused at the door prove nothing. */
  get happened(): { connected: number; published: number; refused: number } {
    const { counters } = this.#world;
    return {
      connected: counters.get('mqtt.connected'),
      published: counters.get('mqtt.published'),
      refused: counters.get('mqtt.refused.packet'),
    };
  }

  /** One message to very many: a list that is used again for the next message remembers nobody after it. */
  async #fanOut(): Promise<void> {
    const world = this.#world;
    world.port = await world.gateway.listen({ host: 'test', port: 0 });
    for (let n = 0; n < worldLimits.fanOut; n++) (await world.connect(`crowd-${n}`)).subscribe('chat/#');
    await world.settle();
    await world.clock.until(world.gateway.publish({ topic: 'chat/a', payload: Buffer.from('x'), qos: 0 }));
    await world.settle();
    world.sockets.cut();
    await world.durable();
    world.logged.length = 0;
  }

  get #all(): HostileClient[] {
    return [...this.#clients.filter(client => client !== undefined), ...this.#left];
  }

  async #take(step: Step): Promise<void> {
    if (step.do === 'wait') return this.#wait(step.ms);
    if (step.do === 'canary') return this.#speak();
    if (step.do === 'open') return this.#open(step.client);
    if (step.do === 'tell') {
      const payload = Buffer.alloc(step.bytes, 't');
      await this.#world.clock.until(this.#world.gateway.publish({ topic: step.topic, payload, qos: step.qos }));
      return;
    }
    const client = this.#clients[step.client];
    if (client) await this.#act(client, step);
  }

  /** A flat switch over what one client does. */
  async #act(client: HostileClient, step: Extract<Step, { client: number }>): Promise<void> {
    const { socket } = client;
    switch (step.do) {
      case 'send':
        return this.#send(client, this.#withPasswords(step.hex), step.pieces ?? []);
      case 'flood':
        return this.#send(client, Buffer.alloc((step.hex.length / 2) * step.times, step.hex, 'hex'), []);
      case 'answer': {
        const packetId = client.unanswered[step.nth]?.packetId;
        if (packetId !== undefined) {
          client.send(encode({ type: step.as, packetId, reasonCode: 0 }, client.version));
          await this.#world.settle();
        }
        return;
      }
      case 'cut':
        socket.destroy();
        break;
      case 'end':
        socket.end();
        break;
      case 'pause':
        client.isPaused = true;
        socket.pause();
        break;
      case 'resume':
        client.isPaused = false;
        socket.resume();
        break;
    }
    await this.#world.settle();
  }

  async #send(client: HostileClient, bytes: Buffer, pieces: readonly number[]): Promise<void> {
    let at = 0;
    for (const piece of [...pieces, bytes.length]) {
      if (at >= bytes.length) break;
      client.send(bytes.subarray(at, at + piece));
      at += piece;
      await this.#world.settle();
    }
  }

  async #open(index: number): Promise<void> {
    const before = this.#clients[index];
    if (before) this.#left.push(before);
    this.#clients[index] = new HostileClient(await this.#world.sockets.connect({ port: this.#world.port }));
  }

  async #wait(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= worldLimits.pingEveryMs) {
      await this.#world.advance(Math.min(left, worldLimits.pingEveryMs));
      this.#canary?.ping();
    }
    await this.#world.settle();
  }

  async #speak(): Promise<void> {
    this.#canary?.speak();
    await this.#canary?.hear();
    this.#commands++;
    await this.#world.settle();
  }

  async #checkCanary(): Promise<void> {
    this.#canary?.ping();
    await this.#speak();
    await this.#world.durable();
    await this.#canary?.check(this.#commands);
    this.#commands = 0;
  }

  #withPasswords(hex: string): Buffer {
    const bytes = Buffer.from(hex, 'hex');
    for (const { mark, password } of this.#passwords) {
      for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + 1)) password.copy(bytes, at);
    }
    return bytes;
  }

  #checkWhileRunning(): void {
    const { failures, counters, logged } = this.#world;
    if (failures.length > 0) throw new Broken('the stream does not fail', messageOf(failures[0]));
    const failed = Object.entries(counters.all()).filter(
      ([name, count]) => name.startsWith('mqtt.failed') && count > 0,
    );
    if (failed.length > 0) {
      const facts = logged.findLast(({ facts }) => 'error' in facts)?.facts;
      throw new Broken(`no error is ours: ${facts?.error ?? 'it was not logged'}`, { failed, stack: facts?.stack });
    }
    const pending = this.#pending();
    if (pending > worldLimits.timersMax) throw new Broken('timers are bounded', pending);
    for (const client of this.#all) {
      const buffered = bufferedTo(client);
      if (buffered > worldLimits.bufferedBytesMax) throw new Broken('what waits in a socket is bounded', buffered);
    }
  }

  /** Who has sent what is no packet has lost its connection, unless it does not look. */
  #checkEnded(): void {
    for (const client of this.#all) {
      if (client.mustBeEnded && !client.isPaused && !client.isClosed) {
        throw new Broken('who sends what is no packet is disconnected');
      }
    }
  }
}

/** Counted in the heap, so that it holds for whatever structure keeps them. */
function expectAtMost(max: number, kind: new (...args: never[]) => object, promise: string): void {
  const count = v8.queryObjects(kind, { format: 'count' });
  if (count > max) throw new Broken(promise, count);
}

/** As MemorySocket has it. */
function bufferedTo({ socket }: HostileClient): number {
  const { peer } = socket as { peer?: { bufferedBytes: number } };
  return peer?.bufferedBytes ?? 0;
}

/** From here on the clock's timers are counted: @returns how many of them are still to come. */
export function countTimers(clock: VirtualClock): () => number {
  const setTimer = clock.setTimer.bind(clock);
  let pending = 0;
  clock.setTimer = (delayMs, run) => {
    let isPending = true;
    const settle = () => {
      if (isPending) pending--;
      isPending = false;
    };
    pending++;
    const timer = setTimer(delayMs, () => {
      settle();
      run();
    });
    return {
      cancel: () => {
        settle();
        timer.cancel();
      },
    };
  };
  return () => pending;
}
