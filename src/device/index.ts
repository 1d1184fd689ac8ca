export { MqttClient, type MqttClientOptions } from './mqtt-client.ts';
