// Connects and disconnects as fast as the server accepts it, and takes up persistent sessions after a crash.
import { LatencyHistogram } from '../histogram.ts';
import { disconnectPacket, encodePublishRing, encodeSubscribe, pubackBytes, writePuback } from '../packets.ts';
import type { ConnectRequest, ConnectResult } from './connecting.ts';
import { forEachAtOnce, giveUp, serveParent, withPatience } from './generator-child.ts';
import { GeneratorConnection, type Target } from './generator-connection.ts';

const subackBytes = 5; // of one filter [MQTT311 3.9]
const digits = 6; // so that all topics are of one length

const histogram = new LatencyHistogram();
const counts = { connects: 0, disconnects: 0, published: 0, sessionsPresent: 0, messagesReceived: 0 };
const progress = () => counts.connects + counts.disconnects + counts.published + counts.messagesReceived;
let isLeaving = false;

const sessionId = (index: number) => `bench-s-${String(index).padStart(digits, '0')}`;
const sessionTopic = (index: number) => `bench/session/${String(index).padStart(digits, '0')}`;

async function connect(target: Target, clientId: string, cleanSession: boolean) {
  const startedAtMs = performance.now();
  const opened = await GeneratorConnection.open(target, { clientId, cleanSession });
  histogram.record(performance.now() - startedAtMs);
  counts.connects += 1;
  opened[0].onEnd = why => {
    if (!isLeaving) giveUp(why);
  };
  return opened;
}

/** The server closes the connection, as it must [MQTT311 3.14.4]; so the port is free again at once on this side. */
async function leave(connection: GeneratorConnection): Promise<void> {
  connection.onEnd = () => {};
  connection.listen(bytes => bytes.length);
  connection.write(disconnectPacket);
  await connection.closed;
  counts.disconnects += 1;
}

async function rate(request: ConnectRequest & { kind: 'rate' }): Promise<void> {
  const { target, seconds, atOnce, openMax } = request;
  const deadlineMs = performance.now() + seconds * 1_000;
  let next = 0;
  const open: GeneratorConnection[] = []; // a ring of openMax, so that the oldest is found without moving the others
  const keepConnecting = async () => {
    while (performance.now() < deadlineMs) {
      const index = next++;
      const [connection] = await connect(target, `bench-c-${index}`, true);
      const oldest = open[index % openMax];
      open[index % openMax] = connection;
      if (oldest !== undefined) await leave(oldest);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, keepConnecting));
  leftOpen = open.filter(connection => connection !== undefined);
}

/** What a run leaves connected: given back after the time has been taken. */
let leftOpen: GeneratorConnection[] = [];

async function prepare({ target, sessions, atOnce, payloadBytes }: ConnectRequest & { kind: 'prepare' }) {
  const indexes = Array.from({ length: sessions }, (_, index) => index);
  await forEachAtOnce(indexes, atOnce, async index => {
    const [connection] = await connect(target, sessionId(index), false);
    const suback = await connection.ask(encodeSubscribe(1, [sessionTopic(index)], 1), subackBytes);
    if (suback[0] !== 0x90 || suback[4] !== 1) giveUp(`The answer to SUBSCRIBE was 0x${suback.toString('hex')}.`);
    await leave(connection);
  });
  const [publisher] = await connect(target, 'bench-publisher', true);
  for (const index of indexes) {
    const { bytes, packetIdAt } = encodePublishRing([sessionTopic(index)], payloadBytes, 1);
    bytes.writeUInt16BE(1, packetIdAt);
    const puback = await publisher.ask(bytes, pubackBytes);
    if (puback[0] !== 0x40) giveUp(`The answer to PUBLISH was 0x${puback.toString('hex')}.`);
    counts.published += 1;
  }
  await leave(publisher);
}

async function resume({ target, sessions, atOnce, payloadBytes }: ConnectRequest & { kind: 'resume' }) {
  const indexes = Array.from({ length: sessions }, (_, index) => index);
  const { packetBytes, packetIdAt } = encodePublishRing([sessionTopic(0)], payloadBytes, 1);
  const messages: Promise<void>[] = [];
  await forEachAtOnce(indexes, atOnce, async index => {
    const [connection, { sessionPresent }] = await connect(target, sessionId(index), false);
    leftOpen.push(connection);
    if (!sessionPresent) return; // then there is no message either
    counts.sessionsPresent += 1;
    const message = connection.next(packetBytes).then(publish => {
      connection.onEnd = why => {
        if (!isLeaving) giveUp(why);
      };
      const isOurs = publish[0] >> 4 === 3 && publish.includes(sessionTopic(index));
      if (!isOurs) giveUp(`${sessionId(index)} expected its message and got 0x${publish.toString('hex')}.`);
      const puback = Buffer.alloc(pubackBytes);
      writePuback(puback, 0, publish.readUInt16BE(packetIdAt));
      connection.write(puback);
      counts.messagesReceived += 1;
    });
    messages.push(message);
  });
  await Promise.all(messages);
}

async function work(request: ConnectRequest): Promise<void> {
  if (request.kind === 'rate') return rate(request);
  if (request.kind === 'prepare') return prepare(request);
  return resume(request);
}

serveParent<ConnectRequest, ConnectResult>(async request => {
  histogram.clear();
  leftOpen = [];
  for (const count of Object.keys(counts) as (keyof typeof counts)[]) counts[count] = 0; // its own keys
  const cpuBefore = process.cpuUsage();
  const startedAtMs = performance.now();
  // A message that a server has lost never comes: after the patience, what came is the result.
  const stalled = Promise.withResolvers<void>();
  const onStall = () => {
    if (request.kind === 'resume' && counts.connects === request.sessions) return stalled.resolve();
    giveUp(`The server stopped answering after ${counts.connects} connections.`);
  };
  await withPatience(Promise.race([work(request), stalled.promise]), progress, onStall);
  const elapsedMs = performance.now() - startedAtMs;
  const cpu = process.cpuUsage(cpuBefore);
  const { connects, sessionsPresent, messagesReceived } = counts;
  const [p50Ms, p99Ms] = [histogram.percentileMs(50), histogram.percentileMs(99)];
  isLeaving = true;
  await withPatience(Promise.all(leftOpen.map(leave)), progress, () =>
    giveUp('The server does not close connections that sent DISCONNECT.'),
  );
  isLeaving = false;
  return {
    connects,
    sessionsPresent,
    messagesReceived,
    elapsedMs,
    p50Ms,
    p99Ms,
    cpuMs: (cpu.user + cpu.system) / 1_000,
  };
});
