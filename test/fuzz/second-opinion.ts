import mqttPacket from 'mqtt-packet';
import type { Packet, ProtocolVersion, UserProperties } from '../../src/iot/mqtt/packets.ts';

/**
 * What another implementation makes of bytes that both accept. It is more lenient than the standards and loses what an
 * object cannot hold, so only what it does keep is compared, and what it is known to lose is left out, with the reason.
 */

/** @returns what the two disagree about; undefined when they agree, or when the other one refuses. */
export function disagreement(packet: Packet, bytes: Buffer, version: ProtocolVersion): string | undefined {
  const theirs = parse(bytes, version);
  if (theirs === undefined) return undefined;
  return difference('', inTheirWords(packet, version), theirs);
}

function parse(bytes: Buffer, version: ProtocolVersion): Record<string, unknown> | undefined {
  const parser = mqttPacket.parser({ protocolVersion: version });
  let parsed: Record<string, unknown> | undefined;
  let refused = false;
  parser.on('packet', packet => {
    parsed ??= packet as unknown as Record<string, unknown>; // Looked at field by field below.
  });
  parser.on('error', () => {
    refused = true;
  });
  try {
    parser.parse(bytes);
  } catch {
    return undefined; // It throws at some bytes: an opinion that is no help.
  }
  return refused ? undefined : parsed;
}

/** The path of the first field of ours that is another one there. */
function difference(path: string, ours: unknown, theirs: unknown): string | undefined {
  if (ours instanceof Uint8Array) {
    const isSame = theirs instanceof Uint8Array ? Buffer.compare(ours, theirs) === 0 : ours.length === 0;
    return isSame ? undefined : `${path}: ${Buffer.from(ours).toString('hex')} and ${String(theirs)}`;
  }
  if (typeof ours !== 'object' || ours === null) {
    return Object.is(ours, theirs) ? undefined : `${path}: ${JSON.stringify(ours)} and ${JSON.stringify(theirs)}`;
  }
  if (typeof theirs !== 'object' || theirs === null) return `${path}: an object and ${JSON.stringify(theirs)}`;
  for (const [name, value] of Object.entries(ours)) {
    const other = (theirs as Record<string, unknown>)[name]; // Whatever it is, it is compared.
    const found = difference(`${path}.${name}`, value, other);
    if (found !== undefined) return found;
  }
  return undefined;
}

const theirNames: Readonly<Record<string, string>> = {
  cleanStart: 'clean',
  keepAliveSeconds: 'keepalive',
  topicFilters: 'unsubscriptions',
  maximumPacketSizeBytes: 'maximumPacketSize',
  subscriptionIdentifiers: 'subscriptionIdentifier',
};
const theirBooleans = /^(payloadFormatIndicator|request.*Information|.*Available)$/;

function inTheirWords(packet: Packet, version: ProtocolVersion): Record<string, unknown> {
  const words: Record<string, unknown> = { cmd: packet.type };
  for (const [name, value] of Object.entries(packet)) {
    if (name === 'type' || name === 'byteLength') continue;
    if (name === 'properties') words.properties = propertiesInTheirWords(value);
    else if (name === 'will') words.will = willInTheirWords(value);
    else if (name === 'subscriptions')
      words.subscriptions = packet.type === 'subscribe' ? packet.subscriptions.map(one => inWords(one, version)) : [];
    else if (name === 'reasonCode') Object.assign(words, reasonCodeInTheirWords(packet.type, value, version));
    else if (name === 'reasonCodes') Object.assign(words, value.length > 0 ? { granted: value } : {});
    else if (name === 'packetId') Object.assign(words, value === 0 ? {} : { messageId: value });
    else words[theirNames[name] ?? name] = value;
  }
  return words;
}

function willInTheirWords(will: { properties?: object }): object {
  return will.properties ? { ...will, properties: propertiesInTheirWords(will.properties) } : will;
}

function reasonCodeInTheirWords(type: string, code: number, version: ProtocolVersion): object {
  if (version === 5) return { reasonCode: code };
  return type === 'connack' ? { returnCode: code } : {};
}

function inWords(
  subscription: {
    topicFilter: string;
    qos: number;
    noLocal: boolean;
    retainAsPublished: boolean;
    retainHandling: number;
  },
  version: ProtocolVersion,
): object {
  const { topicFilter: topic, qos, noLocal: nl, retainAsPublished: rap, retainHandling: rh } = subscription;
  return version === 4 ? { topic, qos } : { topic, qos, nl, rap, rh };
}

function propertiesInTheirWords(properties: object): object {
  const words: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(properties)) {
    if (name === 'userProperties') Object.assign(words, userPropertiesInTheirWords(value));
    else if (theirBooleans.test(name)) words[name] = value === 1;
    else if (Array.isArray(value)) words[theirNames[name] ?? name] = value.length === 1 ? value[0] : value;
    else words[theirNames[name] ?? name.replace(/Seconds$/, '')] = value;
  }
  return words;
}

/** It keeps them in an object, so only names that come once and are no names of objects can be compared. */
function userPropertiesInTheirWords(pairs: UserProperties): object {
  const names = pairs.map(([name]) => name);
  const single = pairs.filter(([name]) => !(name in {}) && names.indexOf(name) === names.lastIndexOf(name));
  return { userProperties: Object.fromEntries(single) };
}
