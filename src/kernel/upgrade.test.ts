import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chooseSubprotocol, judgeUpgrade } from './upgrade.ts';

const mqtt = {
  'sec-websocket-protocol': 'mqtt',
  'sec-websocket-version': '13',
  host: 'broker.example.com:8083',
};

describe('a request for a WebSocket', () => {
  it('is for /mqtt or /, or the paths that are chosen, with or without a query', () => {
    for (const url of ['/mqtt', '/', '/mqtt?token=x', '/?']) {
      assert.equal(judgeUpgrade({ url, headers: mqtt }, {}), undefined, url);
    }
    for (const url of ['/mqtt/', '//mqtt', '/MQTT', '/%6dqtt', '/../mqtt', '/other', '*', undefined]) {
      assert.equal(judgeUpgrade({ url, headers: mqtt }, {})?.status, 404, url);
    }
    assert.equal(judgeUpgrade({ url: '/ws', headers: mqtt }, { paths: ['/ws'] }), undefined);
    assert.equal(judgeUpgrade({ url: '/mqtt', headers: mqtt }, { paths: ['/ws'] })?.status, 404);
  });

  it('is of version 13: an older one names the origin otherwise (hostile X01)', () => {
    for (const version of [undefined, '', '8', '12', '14']) {
      const headers = { ...mqtt, 'sec-websocket-version': version, 'sec-websocket-origin': 'https://evil.example' };
      assert.equal(judgeUpgrade({ url: '/mqtt', headers }, {})?.code, 'websocket.upgradeNotValid', version);
    }
  });

  it('offers mqtt among its subprotocols [MQTT5 6.0.0-3] [MQTT311 6.0.0-3]', () => {
    for (const offered of ['mqtt', 'mqttv3.1', 'chat, mqtt', 'mqttv3.1,mqtt']) {
      const headers = { ...mqtt, 'sec-websocket-protocol': offered };
      assert.equal(judgeUpgrade({ url: '/mqtt', headers }, {}), undefined, offered);
    }
    for (const offered of [undefined, '', 'MQTT', 'mqtt5', 'mqtt2', 'xmqtt', 'mqtt;q=1', '"mqtt"']) {
      const headers = { ...mqtt, 'sec-websocket-protocol': offered };
      assert.equal(judgeUpgrade({ url: '/mqtt', headers }, {})?.code, 'websocket.subprotocolMissing', offered);
    }
  });

  it('is answered with mqtt when that is offered [MQTT5 6.0.0-4] [MQTT311 6.0.0-4]', () => {
    assert.equal(chooseSubprotocol(new Set(['mqttv3.1', 'chat', 'mqtt'])), 'mqtt');
    assert.equal(chooseSubprotocol(new Set(['mqttv3.1'])), 'mqttv3.1');
    assert.equal(chooseSubprotocol(new Set(['chat'])), false);
  });

  const judge = (origin: string | undefined, origins?: string[], host: string | undefined = mqtt.host) =>
    judgeUpgrade({ url: '/mqtt', headers: { ...mqtt, origin, host } }, { origins })?.code;
  const notAllowed = 'websocket.originNotAllowed';

  it('comes from a page of the same host, or from no page (hostile X01)', () => {
    for (const origin of [undefined, 'https://broker.example.com', 'http://broker.example.com:3000']) {
      assert.equal(judge(origin), undefined, origin);
    }
    for (const origin of [
      'https://evil.example',
      'https://broker.example.com.evil.example',
      'https://evil.example/broker.example.com',
      'https://broker.example.com@evil.example',
      'https://sub.broker.example.com',
      'null',
      'file://',
      '',
      'not a url',
    ]) {
      assert.equal(judge(origin), notAllowed, origin);
    }
    assert.equal(judge('https://broker.example.com', undefined, ''), notAllowed);
    assert.equal(judge('http://[::1]:3000', undefined, '[::1]:9001'), undefined);
  });

  it('comes from an origin of the list, to the letter, where there is one (hostile X01)', () => {
    const origins = ['https://console.example.com'];
    assert.equal(judge('https://console.example.com', origins), undefined);
    assert.equal(judge(undefined, origins), undefined);
    for (const origin of [
      'http://console.example.com',
      'https://console.example.com:444',
      'https://broker.example.com',
    ]) {
      assert.equal(judge(origin, origins), notAllowed, origin);
    }
    assert.equal(judge('https://console.example.com', []), notAllowed);
  });
});
