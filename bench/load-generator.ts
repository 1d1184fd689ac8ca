// The load generator: a process of its own, so that its work is not counted as a server's and can be measured.
// It opens every connection first; on 'go' it keeps K publishes in flight on each until the time is up, and then waits
// for the last acknowledgement. It costs as little as Node allows: packets are encoded once and stamped in place, one
// write per socket and event, acknowledgements are scanned as raw bytes, one read buffer serves all sockets.
import { connect, type Socket } from 'node:net';
import { forEachAtOnce, giveUp, serveParent } from './generators/generator-child.ts';
import { LatencyHistogram } from './histogram.ts';
import type { GeneratorPlan, GeneratorResult, Identity, ToGenerator } from './load.ts';
import * as packets from './packets.ts';

const openingAtOnceMax = 100; // below any listen backlog (Mosquitto's is 100)
const connectTimeoutMs = 60_000;
const readBufferBytes = 64 * 1024;

interface Connection {
  clientId: string;
  socket: Socket;
  slots: packets.PublishSlots;
  sentAtMs: Float64Array; // by slot
  partial: Buffer; // the first bytes of an acknowledgement that was cut by a read
  onAcknowledgements: (connection: Connection, bytes: Buffer) => void;
}

/** Shared by all sockets: a read is handed over and used up before the next one begins. */
const readBuffer = Buffer.alloc(readBufferBytes);
const nothing = Buffer.alloc(0);
const histogram = new LatencyHistogram();
const connections: Connection[] = [];

// The run now going on, over all connections.
let deadlineMs = 0;
let outstanding = 0;
let published = 0;
let finish: () => void = () => {};

// `at` changes once per millisecond; most messages only copy it.
const stamp = Buffer.from(new Date().toISOString());
let stampedAtMs = 0;

function openConnection(plan: GeneratorPlan, identity: Identity): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const { clientId } = identity;
    const fail = (why: string) => reject(new Error(`Connection ${clientId} could not be opened: ${why}`));
    const timeout = setTimeout(() => fail(`no CONNACK within ${connectTimeoutMs} ms`), connectTimeoutMs);
    const onConnack = (connection: Connection, bytes: Buffer) => {
      if (!bytes.equals(packets.connackAccepted)) return fail(`the answer to CONNECT was 0x${bytes.toString('hex')}`);
      clearTimeout(timeout);
      connection.onAcknowledgements = onPubacks;
      socket.removeAllListeners('close').on('close', () => giveUp(`The server closed connection ${clientId}.`));
      socket.removeAllListeners('error').on('error', error => giveUp(`Connection ${clientId} broke: ${error.message}`));
      resolve(connection);
    };
    const onread = { buffer: readBuffer, callback: (count: number) => receive(connection, count) };
    const socket = connect({ host: '127.0.0.1', port: plan.port, noDelay: true, onread });
    const connection: Connection = {
      clientId,
      socket,
      slots: packets.encodePublishSlots(clientId, plan.payloadBytes, plan.inFlightPerConnection),
      sentAtMs: new Float64Array(plan.inFlightPerConnection),
      partial: nothing,
      onAcknowledgements: onConnack,
    };
    socket.on('connect', () => socket.write(packets.encodeConnect(identity)));
    socket.on('close', () => fail('the server closed it'));
    socket.on('error', error => fail(error.message));
  });
}

/** Gives on whole acknowledgements only; they are all 4 bytes long, so what a read cut off is the remainder. */
function receive(connection: Connection, count: number): boolean {
  const read = readBuffer.subarray(0, count);
  const bytes = connection.partial.length === 0 ? read : Buffer.concat([connection.partial, read]);
  const cut = bytes.length % packets.acknowledgementBytes;
  connection.partial = cut === 0 ? nothing : Buffer.from(bytes.subarray(bytes.length - cut)); // readBuffer is reused
  if (bytes.length > cut) connection.onAcknowledgements(connection, bytes.subarray(0, bytes.length - cut));
  return true; // keep reading
}

/** Publishes again for each PUBACK. Ids mostly come back in order, so the next packets are one slice, one write. */
function onPubacks(connection: Connection, bytes: Buffer): void {
  const nowMs = performance.now();
  const goesOn = nowMs < deadlineMs;
  if (goesOn) setStamp(nowMs);
  let runStart = 0;
  let runEnd = 0; // slots [runStart, runEnd) are stamped and not yet written
  let corked = false;
  for (let at = 0; at < bytes.length; at += packets.pubackBytes) {
    const slot = slotOfPuback(connection, bytes, at);
    histogram.record(nowMs - (connection.sentAtMs[slot] ?? 0));
    connection.sentAtMs[slot] = 0;
    outstanding -= 1;
    if (!goesOn) continue;
    if (slot !== runEnd && runEnd > runStart) {
      if (!corked) connection.socket.cork();
      corked = true;
      writeSlots(connection, runStart, runEnd);
    }
    if (slot !== runEnd || runEnd === runStart) runStart = slot;
    runEnd = slot + 1;
    stampForSending(connection, slot, nowMs);
  }
  if (runEnd > runStart) writeSlots(connection, runStart, runEnd);
  if (corked) connection.socket.uncork();
  if (outstanding === 0) finish();
}

function slotOfPuback(connection: Connection, bytes: Buffer, at: number): number {
  const slot = ((bytes[at + 2] ?? 0) << 8) + (bytes[at + 3] ?? 0) - 1;
  const isPuback = bytes[at] === 0x40 && bytes[at + 1] === 0x02;
  if (!isPuback || !connection.sentAtMs[slot]) {
    const found = bytes.subarray(at, at + packets.pubackBytes).toString('hex');
    giveUp(`Connection ${connection.clientId} expected a PUBACK of a message in flight and read 0x${found}.`);
  }
  return slot;
}

function stampForSending(connection: Connection, slot: number, nowMs: number): void {
  packets.stampSlot(connection.slots, slot, stamp, published);
  connection.sentAtMs[slot] = nowMs;
  published += 1;
  outstanding += 1;
}

function writeSlots({ socket, slots }: Connection, start: number, end: number): void {
  socket.write(slots.bytes.subarray(start * slots.packetBytes, end * slots.packetBytes));
}

function setStamp(nowMs: number): void {
  if (nowMs - stampedAtMs < 1) return;
  stampedAtMs = Math.floor(nowMs);
  stamp.write(new Date().toISOString(), 'latin1');
}

async function open(plan: GeneratorPlan): Promise<void> {
  await forEachAtOnce(plan.identities, openingAtOnceMax, async identity => {
    connections.push(await openConnection(plan, identity));
  });
}

async function run(seconds: number): Promise<GeneratorResult> {
  histogram.clear();
  published = 0;
  const cpuBefore = process.cpuUsage();
  const startedAtMs = performance.now();
  deadlineMs = startedAtMs + seconds * 1_000;
  const finished = new Promise<void>(resolve => {
    finish = resolve;
  });
  for (const connection of connections) {
    const nowMs = performance.now();
    setStamp(nowMs);
    const { length } = connection.sentAtMs;
    for (let slot = 0; slot < length; slot++) stampForSending(connection, slot, nowMs);
    writeSlots(connection, 0, length);
  }
  await finished;
  const elapsedMs = performance.now() - startedAtMs;
  const cpu = process.cpuUsage(cpuBefore);
  return {
    messages: published,
    elapsedMs,
    p50Ms: histogram.percentileMs(50),
    p99Ms: histogram.percentileMs(99),
    cpuMs: (cpu.user + cpu.system) / 1_000,
  };
}

serveParent<ToGenerator, GeneratorResult | undefined>(async request => {
  if (request.kind === 'go') return run(request.seconds);
  await open(request.plan);
  return undefined;
});
