// Publishers and subscribers in one process. It opens all connections and subscriptions first; on 'go' each publisher
// keeps its window of messages under way until the time is up, and then everything is waited for. Nothing is published
// before there is room in the window, so no server has a reason to drop anything: a message that does not come, comes
// twice or comes to nobody's surprise but ours ends the run. Packets are encoded once and stamped in place.
import { LatencyHistogram } from '../histogram.ts';
import { encodePublishRing, encodeSubscribe, type PublishRing, pubackBytes, writePuback } from '../packets.ts';
import { forEachAtOnce, giveUp, serveParent, withPatience } from './generator-child.ts';
import { GeneratorConnection } from './generator-connection.ts';
import { noTraffic, type TrafficPlan, type TrafficRequest, type TrafficResult } from './traffic.ts';

const openingAtOnceMax = 64; // below any listen backlog (Mosquitto's is 100)
const filtersPerSubscribe = 8; // what every server takes
const subackHeadBytes = 4; // type, length, packet id; one more byte for each filter [MQTT311 3.9]
const windowsRemembered = 4; // a message may be late by this many windows before its slot is needed again

interface Publisher {
  index: number; // in the payload, bytes 0 and 1
  connection: GeneratorConnection;
  ring: PublishRing;
  sent: number; // the sequence number of the next message; in the payload, bytes 2 to 5
  underWay: number; // of the window
  // By slot, which is the sequence number modulo their length, and one less than the packet id.
  sequenceNumbers: Uint32Array;
  deliveriesLeft: Uint32Array;
  isAcknowledged: Uint8Array;
  sentAtMs: Float64Array;
  isWaiting: boolean; // in `withRoom`
}

const histogram = new LatencyHistogram();
const publishers: Publisher[] = [];
const withRoom: Publisher[] = []; // may publish again once the read at hand has been gone through
let plan: TrafficPlan;

// What a delivered packet looks like, the same for all.
let packetBytes = 0;
let packetIdAt = 0;
let payloadAt = 0;
let typeAndQos = 0;
let lengthByte = 0;

// The run now going on, over all connections.
let deadlineMs = 0;
let underWay = 0;
let messages = 0;
let deliveries = 0;
let opened = 0;
let finish: () => void = () => {};

async function open(): Promise<void> {
  const target = { port: plan.port, isTls: false };
  await forEachAtOnce(plan.publishers, openingAtOnceMax, async ({ clientId, topics }, index) => {
    const [connection] = await GeneratorConnection.open(target, { clientId });
    const publisher = newPublisher(connection, index, topics);
    publishers[index] = publisher; // they are not answered in the order in which they connect
    connection.onEnd = giveUp;
    connection.listen(bytes => takePubacks(publisher, bytes));
    opened += 1;
  });
  await forEachAtOnce(plan.subscribers, openingAtOnceMax, async ({ clientId, topicFilters }) => {
    const [connection] = await GeneratorConnection.open(target, { clientId });
    for (let start = 0; start < topicFilters.length; start += filtersPerSubscribe) {
      await subscribe(connection, topicFilters.slice(start, start + filtersPerSubscribe));
    }
    connection.onEnd = giveUp;
    connection.listen(bytes => takeDeliveries(connection, bytes));
    opened += 1;
  });
}

async function subscribe(connection: GeneratorConnection, topicFilters: readonly string[]): Promise<void> {
  const packetId = 1;
  const request = encodeSubscribe(packetId, topicFilters, plan.qos);
  const suback = await connection.ask(request, subackHeadBytes + topicFilters.length);
  if (suback[0] === 0x90 && suback.subarray(subackHeadBytes).every(granted => granted === plan.qos)) return;
  giveUp(`The answer to SUBSCRIBE of ${connection.clientId} was 0x${suback.toString('hex')}.`);
}

function newPublisher(connection: GeneratorConnection, index: number, topics: readonly string[]): Publisher {
  // A packet is stamped anew when the one before in its place has left; with a window of places, it always has.
  const repeated = Array.from({ length: Math.ceil(plan.window / topics.length) }, () => topics).flat();
  const ring = encodePublishRing(repeated, plan.payloadBytes, plan.qos);
  if (packetBytes !== 0 && packetBytes !== ring.packetBytes) giveUp('The topics of a plan differ in length.');
  ({ packetBytes, packetIdAt, payloadAt } = ring);
  typeAndQos = ring.bytes[0];
  lengthByte = ring.bytes[1];
  for (let at = payloadAt; at < ring.bytes.length; at += packetBytes) ring.bytes.writeUInt16BE(index, at);
  const slots = 2 ** Math.ceil(Math.log2(plan.window * windowsRemembered));
  return {
    index,
    connection,
    ring,
    sent: 0,
    underWay: 0,
    sequenceNumbers: new Uint32Array(slots),
    deliveriesLeft: new Uint32Array(slots),
    isAcknowledged: new Uint8Array(slots).fill(1),
    sentAtMs: new Float64Array(slots),
    isWaiting: false,
  };
}

/** Publishes as far as the window allows: what stands in a row in the ring is one write. */
function publish(publisher: Publisher, nowMs: number): void {
  const { ring, connection } = publisher;
  let first = publisher.sent % ring.count;
  let end = first;
  let before: Buffer | undefined; // what was stamped before the ring began again
  while (publisher.underWay < plan.window && isFree(publisher)) {
    if (end === ring.count) {
      before = slice(ring, first, end);
      first = 0;
      end = 0;
    }
    stamp(publisher, end, nowMs);
    end += 1;
  }
  if (before !== undefined) connection.writeBoth(before, slice(ring, first, end));
  else if (end > first) connection.write(slice(ring, first, end));
}

function slice({ bytes, packetBytes: length }: PublishRing, first: number, end: number): Buffer {
  return bytes.subarray(first * length, end * length);
}

function isFree({ sent, deliveriesLeft, isAcknowledged }: Publisher): boolean {
  const slot = sent & (deliveriesLeft.length - 1);
  return deliveriesLeft[slot] === 0 && isAcknowledged[slot] === 1;
}

function stamp(publisher: Publisher, place: number, nowMs: number): void {
  const { ring, sent } = publisher;
  const slot = sent & (publisher.deliveriesLeft.length - 1);
  const at = place * ring.packetBytes;
  if (plan.qos === 1) ring.bytes.writeUInt16BE(slot + 1, at + packetIdAt);
  ring.bytes.writeUInt32BE(sent, at + payloadAt + 2);
  publisher.sequenceNumbers[slot] = sent;
  publisher.deliveriesLeft[slot] = plan.deliveriesPerMessage;
  publisher.isAcknowledged[slot] = plan.qos === 1 ? 0 : 1;
  publisher.sentAtMs[slot] = nowMs;
  publisher.sent = (sent + 1) >>> 0;
  publisher.underWay += 1;
  underWay += 1;
  messages += 1;
}

function takeDeliveries(connection: GeneratorConnection, bytes: Buffer): number {
  const nowMs = performance.now();
  const count = Math.floor(bytes.length / packetBytes);
  const pubacks = plan.qos === 1 && count > 0 ? Buffer.allocUnsafe(count * pubackBytes) : undefined;
  for (let index = 0; index < count; index++) {
    const at = index * packetBytes;
    countDelivery(connection, bytes, at, nowMs);
    if (pubacks !== undefined) writePuback(pubacks, index * pubackBytes, bytes.readUInt16BE(at + packetIdAt));
  }
  if (pubacks !== undefined) connection.write(pubacks);
  goOn(nowMs);
  return count * packetBytes;
}

function countDelivery({ clientId }: GeneratorConnection, bytes: Buffer, at: number, nowMs: number): void {
  const isPublish = (bytes[at] & 0xf6) === typeAndQos && bytes[at + 1] === lengthByte; // 0xf6: all but DUP and RETAIN
  const publisher = isPublish ? publishers[bytes.readUInt16BE(at + payloadAt)] : undefined;
  const sequenceNumber = isPublish ? bytes.readUInt32BE(at + payloadAt + 2) : 0;
  const slot = publisher === undefined ? 0 : sequenceNumber & (publisher.deliveriesLeft.length - 1);
  if (publisher?.sequenceNumbers[slot] !== sequenceNumber || publisher.deliveriesLeft[slot] === 0) {
    const found = bytes.subarray(at, at + Math.min(packetBytes, 64)).toString('hex');
    return giveUp(`Subscriber ${clientId} got what it did not expect, or had already: 0x${found}.`);
  }
  deliveries += 1;
  publisher.deliveriesLeft[slot] -= 1;
  if (publisher.deliveriesLeft[slot] > 0) return;
  histogram.record(nowMs - publisher.sentAtMs[slot]);
  if (publisher.isAcknowledged[slot] === 1) makeRoom(publisher);
}

function takePubacks(publisher: Publisher, bytes: Buffer): number {
  const whole = bytes.length - (bytes.length % pubackBytes);
  for (let at = 0; at < whole; at += pubackBytes) {
    const slot = bytes.readUInt16BE(at + 2) - 1;
    if (bytes[at] !== 0x40 || publisher.isAcknowledged[slot] !== 0) {
      const found = bytes.subarray(at, at + pubackBytes).toString('hex');
      giveUp(`Publisher ${publisher.connection.clientId} expected a PUBACK of a message under way and got 0x${found}.`);
    }
    publisher.isAcknowledged[slot] = 1;
    if (publisher.deliveriesLeft[slot] === 0) makeRoom(publisher);
  }
  goOn(performance.now());
  return whole;
}

function makeRoom(publisher: Publisher): void {
  publisher.underWay -= 1;
  underWay -= 1;
  if (publisher.isWaiting) return;
  publisher.isWaiting = true;
  withRoom.push(publisher);
}

function goOn(nowMs: number): void {
  for (const publisher of withRoom) {
    publisher.isWaiting = false;
    if (nowMs < deadlineMs) publish(publisher, nowMs);
  }
  withRoom.length = 0;
  if (underWay === 0) finish();
}

async function run(seconds: number): Promise<TrafficResult> {
  histogram.clear();
  messages = 0;
  deliveries = 0;
  const cpuBefore = process.cpuUsage();
  const startedAtMs = performance.now();
  deadlineMs = startedAtMs + seconds * 1_000;
  const finished = new Promise<void>(resolve => {
    finish = resolve;
  });
  for (const publisher of publishers) publish(publisher, performance.now());
  await withPatience(
    finished,
    () => deliveries,
    () => giveUp(`${underWay} of ${messages} messages were not delivered to all, or not acknowledged.`),
  );
  const elapsedMs = performance.now() - startedAtMs;
  const cpu = process.cpuUsage(cpuBefore);
  return {
    messages,
    deliveries,
    elapsedMs,
    p50Ms: histogram.percentileMs(50),
    p99Ms: histogram.percentileMs(99),
    cpuMs: (cpu.user + cpu.system) / 1_000,
  };
}

serveParent<TrafficRequest, TrafficResult>(async request => {
  if (request.kind === 'go') return run(request.seconds);
  ({ plan } = request);
  const connectionsCount = plan.publishers.length + plan.subscribers.length;
  await withPatience(
    open(),
    () => opened,
    () => giveUp(`Only ${opened} of ${connectionsCount} connections could be opened.`),
  );
  return noTraffic;
});
