import type { IncomingHttpHeaders } from 'node:http';
import { parseJson } from '../../kernel/json.ts';
import { mqttLimits } from '../mqtt/limits.ts';
import type { PublishProperties, UserProperties } from '../mqtt/packets.ts';
import { isTopicName } from '../mqtt/topics.ts';
import { isMqttText } from '../mqtt/utf8.ts';
import { decodeBase64 } from './base64.ts';
import { parameterNotValid, topicNotValid } from './errors.ts';
import { decodeOnce, type Parameters } from './target.ts';

/** A publish without its payload: what the request line and the headers say. */
export interface PublicationHead {
  readonly topic: string;
  readonly qos: 0 | 1;
  readonly retain: boolean;
  readonly properties: PublishProperties | undefined;
}

/** As AWS IoT Core's Publish has it. `encodedTopic` may hold its slashes plainly or, as AWS SDKs write them, as %2F. */
export function readPublicationHead(
  encodedTopic: string,
  parameters: Parameters,
  headers: IncomingHttpHeaders,
): PublicationHead {
  const topic = decodeOnce(encodedTopic);
  if (!isTopicName(topic)) throw topicNotValid();
  return {
    topic,
    qos: parameters.findOneOf('qos', ['0', '1']) === '1' ? 1 : 0,
    retain: parameters.findOneOf('retain', ['true', 'false']) === 'true',
    properties: readProperties(parameters, headers),
  };
}

function readProperties(parameters: Parameters, headers: IncomingHttpHeaders): PublishProperties | undefined {
  const properties: PublishProperties = {};
  const contentType = parameters.find('contentType');
  if (contentType !== undefined) properties.contentType = contentType;
  const responseTopic = parameters.find('responseTopic');
  if (responseTopic !== undefined) {
    if (!isTopicName(responseTopic)) throw parameterNotValid('responseTopic', 'it is one exact topic'); // [MQTT5 3.3.2-14]
    properties.responseTopic = responseTopic;
  }
  const expirySeconds = parameters.findWhole('messageExpiry', 1, 0xffff_ffff);
  if (expirySeconds !== undefined) properties.messageExpiryIntervalSeconds = expirySeconds;
  const indicator = readIndicator(findHeader(headers, 'x-amz-mqtt5-payload-format-indicator'));
  if (indicator !== undefined) properties.payloadFormatIndicator = indicator;
  const correlationData = findHeader(headers, 'x-amz-mqtt5-correlation-data');
  if (correlationData !== undefined) {
    properties.correlationData = fromBase64('x-amz-mqtt5-correlation-data', correlationData);
  }
  const userProperties = findHeader(headers, 'x-amz-mqtt5-user-properties');
  if (userProperties !== undefined) properties.userProperties = readUserProperties(userProperties);
  return Object.keys(properties).length === 0 ? undefined : properties;
}

function readIndicator(text: string | undefined): 0 | 1 | undefined {
  if (text === undefined) return undefined;
  if (text === 'UNSPECIFIED_BYTES') return 0;
  if (text === 'UTF8_DATA') return 1;
  throw parameterNotValid('x-amz-mqtt5-payload-format-indicator', 'it is UNSPECIFIED_BYTES or UTF8_DATA');
}

/** Base64 of a JSON array of objects with one pair each: order and repetition count [MQTT5 3.3.2.3.7]. */
function readUserProperties(text: string): UserProperties {
  const name = 'x-amz-mqtt5-user-properties';
  const expected = 'base64 of a JSON array of objects with one pair of texts each';
  const bytes = fromBase64(name, text);
  if (!isMqttText(bytes, 0, bytes.length)) throw parameterNotValid(name, expected);
  let list: unknown;
  try {
    list = parseJson(bytes.toString());
  } catch {
    throw parameterNotValid(name, expected);
  }
  if (!Array.isArray(list)) throw parameterNotValid(name, expected);
  if (list.length > mqttLimits.userPropertiesMax) {
    throw parameterNotValid(name, `it has at most ${mqttLimits.userPropertiesMax} pairs`);
  }
  let pairsBytes = 0;
  const pairs = list.map((item: unknown): readonly [string, string] => {
    const entries = typeof item === 'object' && item !== null && !Array.isArray(item) ? Object.entries(item) : [];
    const [[key, value] = ['', undefined]] = entries;
    if (entries.length !== 1 || typeof value !== 'string' || value.includes('\0') || key.includes('\0')) {
      throw parameterNotValid(name, expected);
    }
    pairsBytes += Buffer.byteLength(key) + Buffer.byteLength(value);
    return [key, value];
  });
  if (pairsBytes <= mqttLimits.userPropertyBytesMax) return pairs;
  throw parameterNotValid(name, `names and values have at most ${mqttLimits.userPropertyBytesMax} bytes`);
}

/** Node joins what is sent twice with a comma, which none of these can hold. */
function findHeader(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(',') : value;
}

function fromBase64(name: string, text: string): Buffer {
  const bytes = decodeBase64(text);
  if (bytes === undefined) throw parameterNotValid(name, 'it is base64');
  return bytes;
}
