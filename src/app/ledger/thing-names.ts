/**
 * Whose a record is. As a rule its partition key says so; where telemetry is keyed otherwise (by chance, by a field), its
 * topic does. The gateway, which counts what it takes, knows it from the connection: both come to the same name.
 */
import type { StreamRecord } from '../../platform/stream/index.ts';
import type { AnyModel } from '../topics.ts';

const slash = 0x2f;
const telemetryStart = Buffer.from('dt/');
const topicAt = 4; // behind the head of the envelope
const thingLevel = 3; // dt/<application>/<context>/<thing>/<type>

/** Whether some of the app's telemetry is not keyed by its thing. */
export function namesLieInTopics({ partitionKeys }: Pick<AnyModel, 'partitionKeys'>): boolean {
  return Object.values(partitionKeys).some(strategy => strategy !== undefined && strategy !== 'thing');
}

export function thingOf({ partitionKey, data }: Pick<StreamRecord, 'partitionKey' | 'data'>, inTopic: boolean): string {
  const place = inTopic ? thingInTopic(data, 0, data.length) : undefined;
  return place === undefined ? partitionKey : data.toString('utf8', place.start, place.end);
}

/** Where the name stands in the topic of an envelope of telemetry. */
export function thingInTopic(bytes: Buffer, start: number, end: number): { start: number; end: number } | undefined {
  const from = start + topicAt;
  if (from + telemetryStart.length > end || bytes[start] !== 1) return undefined;
  const topicEnd = Math.min(end, from + bytes.readUInt16LE(start + 2));
  if (telemetryStart.compare(bytes, from, from + telemetryStart.length) !== 0) return undefined;
  let at = from;
  for (let level = 0; level < thingLevel; level++) {
    at = bytes.indexOf(slash, at) + 1;
    if (at === 0 || at > topicEnd) return undefined;
  }
  const nameEnd = bytes.indexOf(slash, at);
  return nameEnd <= at || nameEnd > topicEnd ? undefined : { start: at, end: nameEnd };
}
