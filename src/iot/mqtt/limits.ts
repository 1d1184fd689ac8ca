import assert from 'node:assert/strict';

/** Every bound of the MQTT listener, once. */
export const mqttLimits = {
  packetBytesBeforeConnectMax: 32 * 1024, // ours: a CONNECT with will, credentials and properties fits many times over
  packetBytesMax: 256 * 1024, // ours: twice the 128 KB payload of AWS IoT Core quota "publish request size"
  clientIdBytesMax: 128, // AWS IoT Core quota "client ID size"
  topicBytesMax: 1024, // ours: AWS IoT Core quota "topic size" is 256, its reserved topics need more
  topicLevelsMax: 32, // ours: bounds the work of one match; AWS IoT Core quota is 7 slashes, reserved prefixes on top
  userPropertiesMax: 32, // ours, per packet; the standard has no bound [MQTT5 3.1.2.11.8]
  userPropertyBytesMax: 8 * 1024, // ours, per packet: names and values together; AWS IoT Core quota is 8 KB
} as const;

assert(mqttLimits.packetBytesBeforeConnectMax <= mqttLimits.packetBytesMax);
// Our own replies carry one topic and the user properties back; they must fit what we would accept.
assert(mqttLimits.topicBytesMax + mqttLimits.userPropertyBytesMax < mqttLimits.packetBytesBeforeConnectMax);
assert(mqttLimits.topicLevelsMax <= 128); // the ceiling every matcher may rely on
