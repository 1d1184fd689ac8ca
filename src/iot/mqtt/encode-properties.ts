import assert from 'node:assert/strict';
import { PacketWriter, variableByteIntegerMax } from './packet-writer.ts';
import type { UserProperties } from './packets.ts';
import type { PropertyRule } from './properties.ts';
import { propertyRuleByName } from './properties.ts';
import { isTopicName } from './topics.ts';

/**
 * Writes the property section of an MQTT 5 packet, its length included. Keys that are `undefined` are left out.
 * @param owner  the packet type number, or `willOwner`
 */
export function writeProperties(writer: PacketWriter, owner: number, properties: object | undefined): void {
  if (properties === undefined) {
    writer.variableByteInteger(0); // That there are none must be said [MQTT5 2.2.2-1].
    return;
  }
  const section = propertySection(owner, properties);
  writer.variableByteInteger(section.length);
  writer.raw(section);
}

/** The properties one after the other, without the length of the section. */
export function propertySection(owner: number, properties: object): Buffer {
  const writer = new PacketWriter();
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined) continue;
    const rule = propertyRuleByName(owner, name);
    assert(rule !== undefined, `a packet of type ${owner} has no property ${name}`);
    // Lists stand as the same property several times [MQTT5 3.1.2.11.8, 3.3.2.3.8].
    const items: readonly unknown[] = Array.isArray(value) ? value : [value];
    if (rule.kind === 'userProperty')
      writeUserProperties(writer, rule, value as UserProperties); // what its name stands for
    else for (const item of items) writeProperty(writer, rule, item);
  }
  if ('authenticationData' in properties && properties.authenticationData !== undefined) {
    assert('authenticationMethod' in properties && properties.authenticationMethod !== undefined); // [MQTT5 3.1.2.11.10]
  }
  return writer.written();
}

function writeProperty(writer: PacketWriter, rule: PropertyRule, value: unknown): void {
  writer.uint8(rule.id);
  switch (rule.kind) {
    case 'bit':
      writer.uint8(whole(rule, value, 0, 1));
      break;
    case 'uint16':
      writer.uint16(whole(rule, value, 0, 0xffff));
      break;
    case 'uint16FromOne':
    case 'topicAlias':
      writer.uint16(whole(rule, value, 1, 0xffff));
      break;
    case 'uint32':
      writer.uint32(whole(rule, value, 0, 0xffffffff));
      break;
    case 'uint32FromOne':
      writer.uint32(whole(rule, value, 1, 0xffffffff));
      break;
    case 'subscriptionIdentifier':
      writer.variableByteInteger(whole(rule, value, 1, variableByteIntegerMax));
      break;
    case 'binary':
      assert(value instanceof Uint8Array, `${rule.name} is not bytes`);
      writer.binary(value);
      break;
    default:
      assert(typeof value === 'string', `${rule.name} is not a string`);
      assert(rule.kind !== 'topic' || isTopicName(value), `${rule.name} is not a topic name`); // [MQTT5 3.3.2-14]
      writer.text(value);
      break;
  }
}

/** In their order [MQTT5 3.1.3-10, 3.3.2-18]; the writer insists on proper text for both halves [MQTT5 1.5.7-1]. */
function writeUserProperties(writer: PacketWriter, rule: PropertyRule, pairs: UserProperties): void {
  for (const [name, value] of pairs) {
    writer.uint8(rule.id);
    writer.text(name);
    writer.text(value);
  }
}

function whole(rule: PropertyRule, value: unknown, min: number, max: number): number {
  assert(typeof value === 'number' && Number.isInteger(value), `${rule.name} is not a whole number`);
  assert(value >= min && value <= max, `${rule.name} is out of range`);
  return value;
}
