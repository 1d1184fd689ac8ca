// A broker for the tests of the generators, over another codec than theirs. It has the manners a test wants.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { generate, type IPublishPacket, type Packet, parser } from 'mqtt-packet';
import type { GeneratorAnswer } from './generator-child.ts';

interface Session {
  socket: Socket | undefined;
  topicFilters: Set<string>; // no wildcards
  queued: IPublishPacket[];
  isClean: boolean;
}

export class GeneratorTestServer {
  /** How often each delivery is sent. */
  copies = 1;
  /** Of SUBSCRIBE; 0x80 is a refusal. */
  granted: number | undefined;
  received = 0;
  pubacks = 0;
  disconnects = 0;
  readonly sessions = new Map<string, Session>();
  readonly #server: Server = createServer(socket => this.#serve(socket));
  readonly #sockets = new Set<Socket>();
  #onPuback = () => {};

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port; // TCP: never a string
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: Socket): void {
    const decoder = parser({ protocolVersion: 4 });
    let session: Session | undefined;
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => {}); // a generator that gave up leaves without a goodbye
    socket.on('close', () => {
      this.#sockets.delete(socket);
      if (session?.socket === socket) session.socket = undefined;
    });
    decoder.on('packet', packet => {
      session = this.#answer(socket, session, packet);
    });
    socket.on('data', bytes => decoder.parse(bytes));
  }

  #answer(socket: Socket, session: Session | undefined, packet: Packet): Session | undefined {
    if (packet.cmd === 'connect') return this.#connect(socket, packet.clientId, packet.clean === true);
    if (packet.cmd === 'disconnect') {
      this.disconnects += 1;
      socket.end();
    }
    if (packet.cmd === 'puback') {
      this.pubacks += 1;
      this.#onPuback();
    }
    if (packet.cmd === 'subscribe') {
      for (const { topic } of packet.subscriptions) session?.topicFilters.add(topic);
      const granted = packet.subscriptions.map(({ qos }) => this.granted ?? qos);
      socket.write(generate({ cmd: 'suback', messageId: packet.messageId, granted }));
    }
    if (packet.cmd === 'publish') this.#publish(socket, packet);
    return session;
  }

  #connect(socket: Socket, clientId: string, isClean: boolean): Session {
    const known = isClean ? undefined : this.sessions.get(clientId);
    const session = known ?? { socket, topicFilters: new Set(), queued: [], isClean };
    session.socket = socket;
    this.sessions.set(clientId, session);
    const connack = generate({ cmd: 'connack', returnCode: 0, sessionPresent: known !== undefined });
    // In one write with what waits, so that the generator has to tell them apart.
    socket.write(Buffer.concat([connack, ...session.queued.splice(0).map(publish => generate(publish))]));
    return session;
  }

  #publish(socket: Socket, publish: IPublishPacket): void {
    this.received += 1;
    for (const session of this.sessions.values()) {
      if (!session.topicFilters.has(publish.topic)) continue;
      if (session.socket === undefined) session.queued.push(publish);
      else this.#deliver(session.socket, generate(publish));
    }
    if (publish.qos === 1) socket.write(generate({ cmd: 'puback', messageId: publish.messageId }));
  }

  /** Resolves with the count-th PUBACK. */
  pubacksReached(count: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onPuback = () => {
      if (this.pubacks === count) resolve();
    };
    this.#onPuback();
    return promise;
  }

  /** In two writes without delay, which mostly come as two reads. */
  #deliver(socket: Socket, bytes: Buffer): void {
    const all = Buffer.concat(Array.from({ length: this.copies }, () => bytes));
    socket.write(all.subarray(0, 7));
    socket.write(all.subarray(7));
  }
}

/** A generator as a test asks it; ended by the test. */
export function forkGenerator<Request, Result>(script: string) {
  const child: ChildProcess = fork(join(import.meta.dirname, script));
  const ask = async (request: Request): Promise<GeneratorAnswer<Result>> => {
    child.send(request as object); // requests are plain objects
    const [answer] = await once(child, 'message');
    return answer;
  };
  const end = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    if (child.connected) child.disconnect();
    await exited;
  };
  return { ask, end };
}
