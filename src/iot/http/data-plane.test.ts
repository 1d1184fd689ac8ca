import assert from 'node:assert/strict';
import querystring from 'node:querystring';
import { PassThrough, Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { bites } from '../../kernel/bites.ts';
import { seededRandom } from '../../kernel/random.ts';
import { TestDisk } from '../../kernel/test-disk.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { type Access, FileAccess, hashPassword, type Identity, ThingAccess } from '../access/index.ts';
import { awsLimits, brokerLimits } from '../mqtt/broker-limits.ts';
import { mqttLimits } from '../mqtt/limits.ts';
import { Ingest } from '../rules/index.ts';
import { Bodies } from './body.ts';
import { type CallOptions, HttpWorld } from './http-world.ts';
import { dataPlaneLimits } from './limits.ts';
import { Senders } from './senders.ts';

const own = '/topics/dt/app/one/reading?qos=1';
const base64 = (text: string | Uint8Array) => Buffer.from(text).toString('base64');
const traceIdForm = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** A subscriber of chat/#. */
async function listener(world: HttpWorld) {
  const client = await world.gateway.connect('listener');
  client.subscribe('chat/#', { qos: 1 });
  await world.gateway.settle();
  client.take('suback');
  return client;
}

describe('publishing over HTTP', () => {
  const answersOnlyWhatIsDurable = async () => {
    const world = await HttpWorld.start();
    await world.gateway.thing('one');
    await world.gateway.durable();
    const { syncs } = world.gateway.disk;
    const { status, body, headers } = await world.call(own, { as: 'one', body: 'kept' });
    assert(world.gateway.disk.syncs > syncs, 'answered before the sync');
    assert.deepEqual([status, body.message, Object.keys(body), headers], [200, 'OK', ['message', 'traceId'], {}]);
    assert.match(body.traceId, traceIdForm);
    assert.deepEqual(await world.gateway.telemetry(), ['kept']);
  };
  it('answers telemetry of QoS 1 only when it would survive a power cut', async () => {
    await answersOnlyWhatIsDurable();
    const { offer } = Ingest.prototype;
    const hasty: typeof offer = function (this: Ingest, thingName, topic, payload, target) {
      offer.call(this, thingName, topic, payload);
      target?.acknowledge(0, 0);
    };
    await bites(Ingest.prototype, 'offer', { value: hasty, writable: true }, answersOnlyWhatIsDurable);
  });

  it('answers QoS 1 to subscribers only when their sessions hold it, and QoS 0 at once', async () => {
    const world = await HttpWorld.start({ durable: true });
    const client = await world.gateway.connect('two', {
      cleanStart: false,
      properties: { sessionExpiryIntervalSeconds: 3_600 },
    });
    client.subscribe('chat/#', { qos: 1 });
    await world.gateway.durable();
    client.cut();
    await world.gateway.durable();
    const { syncs } = world.gateway.disk;
    assert.equal(await world.statusOf('/topics/chat/a?qos=1', { as: 'one', body: 'kept' }), '200');
    assert(world.gateway.disk.syncs > syncs, 'answered before the sync');
    const before = world.gateway.clock.nowMs();
    assert.equal(await world.statusOf('/topics/chat/a', { as: 'one', body: 'passing' }), '200');
    assert.equal(world.gateway.clock.nowMs(), before);
    await world.powerCut();
    const back = await world.gateway.connect('two', { cleanStart: false });
    assert.equal(back.takeMessages()[0], 'kept');
  });

  it('hands the message to subscribers with all its properties, and with any bytes', async () => {
    const world = await HttpWorld.start();
    const client = await listener(world);
    const userProperties = [{ unit: '°C' }, { unit: 'again' }, JSON.parse('{"__proto__":"x"}')]; // Hostile W14.
    const url = '/topics/chat/a?qos=1&contentType=text%2Fplain&responseTopic=chat%2Fanswers&messageExpiry=60';
    const payload = Buffer.from([0, 255, 128]);
    const headers = {
      'content-type': 'multipart/form-data; boundary=', // Any type is a payload (hostile H06).
      'x-amz-mqtt5-user-properties': base64(JSON.stringify(userProperties)),
      'x-amz-mqtt5-payload-format-indicator': 'UTF8_DATA',
      'x-amz-mqtt5-correlation-data': base64('c1'),
    };
    assert.equal(await world.statusOf(url, { as: 'one', headers, body: payload }), '200');
    const packet = client.take('publish');
    assert.deepEqual(Buffer.from(packet.payload), payload);
    assert.deepEqual(
      { ...packet.properties },
      {
        contentType: 'text/plain',
        responseTopic: 'chat/answers',
        messageExpiryIntervalSeconds: 60,
        payloadFormatIndicator: 1,
        correlationData: Buffer.from('c1'),
        userProperties: [
          ['unit', '°C'],
          ['unit', 'again'],
          ['__proto__', 'x'],
        ],
      },
    );
    assert.equal(({} as Record<string, unknown>).x, undefined);
  });

  it('passes on the same to a session of its own client id, be it of MQTT 3.1.1', async () => {
    const world = await HttpWorld.start();
    const client = await listener(world);
    for (const protocolVersion of [4, 5] as const) {
      const connection = await world.gateway.connect('one.http', { protocolVersion });
      const headers = { 'x-amz-mqtt5-correlation-data': base64('c1') };
      assert.equal(await world.statusOf('/topics/chat/a?qos=1', { as: 'one', headers, body: 'text' }), '200');
      const { payload, properties } = client.take('publish');
      assert.deepEqual([payload.toString(), properties?.correlationData?.toString()], ['text', 'c1']);
      connection.cut();
    }
  });

  it('keeps what is to be retained, and gives it to whoever may subscribe to it', async () => {
    const world = await HttpWorld.start();
    const url = '/topics/chat%2Fstate?qos=1&retain=true&contentType=text/plain';
    assert.equal(await world.statusOf(url, { as: 'one', body: 'open' }), '200');
    const get = (topic: string, as = 'two') => world.call(`/retainedMessage/${topic}`, { as, method: 'GET' });
    const { status, body } = await get('chat/state');
    const expected = { topic: 'chat/state', payload: base64('open'), qos: 1, contentType: 'text/plain' };
    assert.deepEqual([status, body], [200, expected]);
    assert.equal((await get('chat/other')).body.code, 'iot.notRetained');
    assert.equal((await get('dt/app/two/reading')).body.code, 'iot.forbidden');
    assert.equal((await get('chat/%23')).body.code, 'iot.topicNotValid');
    await world.call(url, { as: 'one', body: '' });
    assert.equal((await get('chat/state')).status, 404);
  });

  const decodesOnce = async () => {
    const world = await HttpWorld.start();
    const client = await listener(world);
    const topics = {
      'chat/a': 'chat/a',
      'chat%2Fa': 'chat/a',
      'chat%2fa%2F': 'chat/a/',
      'chat//a': 'chat//a',
      'chat/../a': 'chat/../a',
      'chat/%2e%2e/a': 'chat/../a',
      'chat/%252Fa': 'chat/%2Fa',
      'chat/a;b': 'chat/a;b',
      'chat/a%5Cb': 'chat/a\\b',
      'chat/%E3%81%82': 'chat/あ',
      'chat/a%20b': 'chat/a b',
      'chat/A.': 'chat/A.',
      'chat/a%3Fqos=2': 'chat/a?qos=2',
      'chat/%0A%7F': 'chat/\n\x7f', // Control characters are accepted, as over MQTT.
    };
    for (const [written, meant] of Object.entries(topics)) {
      assert.equal(await world.statusOf(`/topics/${written}?qos=1`, { as: 'one' }), '200', written);
      const { topic, packetId } = client.take('publish');
      client.ack(packetId);
      assert.equal(topic, meant);
    }
  };
  it('takes the topic as AWS SDKs write it and as people do, decoded once (hostile H07)', async () => {
    await decodesOnce();
    const { decodeURIComponent: once } = globalThis;
    const twice = (text: string) => once(once(text));
    await bites(globalThis, 'decodeURIComponent', { value: twice, writable: true }, decodesOnce);
  });
});

describe('a request is refused', () => {
  const refused = async (expected: string, url: string, options: CallOptions = {}) => {
    const world = await HttpWorld.start();
    const client = await listener(world);
    const { status, headers, body } = await world.call(url, { as: 'one', ...options });
    assert.equal(`${status} ${body.code}`, expected, url.slice(0, 200));
    assert.match(body.traceId, traceIdForm);
    assert.match(headers['x-amzn-errortype'], /^[A-Za-z]+Exception$/);
    assert.deepEqual(Object.keys(body), ['message', 'traceId', 'code', 'fix']);
    assert.equal(world.gateway.counters.get(`http.refused.${body.code}`), 1);
    await world.gateway.durable();
    assert.deepEqual(client.takeMessages(), []);
    assert.deepEqual(await world.gateway.telemetry(), []);
  };

  const withoutWildcards = async () => {
    const topics = ['', '%23', 'chat/%23', 'chat/%2B/a', 'chat/+', 'chat/a+', '+', 'chat/a%23'];
    for (const topic of topics) await refused('400 iot.topicNotValid', `/topics/${topic}`);
    for (const topic of ['', 'a/%23', '+'])
      await refused('400 iot.parameterNotValid', `/topics/chat/a?responseTopic=${topic}`);
  };
  it('for a topic that is empty or has wildcards, a response topic too (hostile W11)', withoutWildcards);

  const strictText = async () => {
    const texts = ['%00', 'a%00b', '%ED%A0%80', '%C0%AF', '%F5%80%80%80', '%E3%81', '%', '%2', '%zz', '%80'];
    for (const text of texts) {
      await refused('400 iot.targetNotValid', `/topics/chat/${text}`);
      await refused('400 iot.targetNotValid', `/topics/chat/a?contentType=${text}`);
      await refused('400 iot.targetNotValid', `/topics/chat/a?${text}=1`);
    }
  };
  it('for text that is not strict UTF-8 or holds NUL (hostile W09)', async () => {
    await strictText();
    await bites(globalThis, 'decodeURIComponent', { value: querystring.unescape, writable: true }, strictText);
  });

  const withinLevels = async () => {
    const deep = Array.from({ length: 33 }, () => 'a').join('/');
    await refused('400 iot.topicNotValid', `/topics/${deep}`);
    await refused('400 iot.topicNotValid', `/topics/${'/'.repeat(10_000)}`);
    await refused('400 iot.topicNotValid', `/topics/chat/${'a'.repeat(1_020)}`);
    const world = await HttpWorld.start({ limits: awsLimits });
    assert.equal(await world.statusOf('/topics/chat/a/b/c/d/e/f/g/h', { as: 'one' }), '400 iot.topicNotValid');
    assert.equal(await world.statusOf('/topics/chat/a/b/c/d/e/f/g', { as: 'one' }), '200');
  };
  it('for a topic over the limits in force, before anything else (hostile W12)', async () => {
    await withinLevels();
    await bites(mqttLimits, 'topicLevelsMax', { value: 1_000_000 }, withinLevels);
  });

  it('for paths that only look like ours (hostile H07)', async () => {
    const others = [
      '/',
      '/topics',
      '//topics/chat/a',
      '/Topics/chat/a',
      '/%74opics/chat/a',
      '/topics%2Fchat/a',
      '/a/../topics/chat/a',
      '/topics;/chat/a',
      '/./topics/chat/a',
      '/topics\\chat/a',
      '/retainedMessage',
      '/mqtt',
      '/health',
      '/connections/one',
    ];
    for (const other of others) await refused('404 iot.noSuchPath', other);
    for (const odd of [
      'http://gateway/topics/chat/a',
      'topics/chat/a',
      '*',
      '',
      '/topics/chat/a#b',
      '/topics/chat/é',
      '/topics/chat/a b',
    ]) {
      await refused('400 iot.targetNotValid', odd);
    }
  });

  it('for another method, and says which there is', async () => {
    for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS', 'HEAD', 'PATCH']) {
      await refused('405 iot.methodNotAllowed', own, { method });
    }
    await refused('405 iot.methodNotAllowed', '/retainedMessage/chat/a', { method: 'POST' });
    const world = await HttpWorld.start();
    assert.equal((await world.call(own, { method: 'GET' })).headers.allow, 'POST');
  });

  const takesFewParameters = async () => {
    const many = Array.from({ length: 65 }, (_, n) => `k${n}=1`).join('&');
    await refused('400 iot.targetNotValid', `/topics/chat/a?${many}`);
  };
  it('for too many parameters (hostile H02)', async () => {
    await takesFewParameters();
    await bites(dataPlaneLimits, 'parametersMax', { value: 1_000 }, takesFewParameters);
  });

  it('for parameters that are not valid, or there twice', async () => {
    const queries = [
      'qos=2',
      'qos=',
      'qos=01',
      'qos=one',
      'qos=1&qos=1',
      'retain=1',
      'retain',
      'messageExpiry=0',
      'messageExpiry=-1',
      'messageExpiry=4294967296',
      'messageExpiry=1e3',
      'messageExpiry=1.5',
      'clientId=',
      'clientId=$a',
      `clientId=${'a'.repeat(129)}`,
      'contentType=a&contentType=b',
    ];
    for (const query of queries) await refused('400 iot.parameterNotValid', `/topics/chat/a?${query}`);
    const world = await HttpWorld.start();
    assert.equal(await world.statusOf('/topics/chat/a?x-amz-whatever=1&__proto__=2&constructor', { as: 'one' }), '200');
  });

  const takesValidHeaders = async () => {
    const pairs = (count: number, size = 1) =>
      JSON.stringify(Array.from({ length: count }, () => ({ k: 'v'.repeat(size) })));
    const properties = [
      '[{}]',
      '{}',
      'null',
      '[null]',
      '[["k","v"]]',
      '[{"k":1}]',
      '[{"k":"v","l":"w"}]',
      '[{"k":"\\u0000"}]',
      '[{"\\u0000":"v"}]',
      '[{"k":"\\ud800"}]',
      '[',
      '',
      `${'['.repeat(5_000)}`,
      '\ufeff[]',
      pairs(33),
      pairs(9, 1_000),
    ];
    for (const text of properties) {
      await refused('400 iot.parameterNotValid', '/topics/chat/a', {
        headers: { 'x-amz-mqtt5-user-properties': base64(text) },
      });
    }
    const headers: [string, string][] = [
      ['x-amz-mqtt5-user-properties', base64(Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d]))],
      ['x-amz-mqtt5-user-properties', 'a b'],
      ['x-amz-mqtt5-correlation-data', 'a_-b'],
      ['x-amz-mqtt5-correlation-data', 'a'],
      ['x-amz-mqtt5-correlation-data', 'YQ==, YQ=='],
      ['x-amz-mqtt5-payload-format-indicator', '1'],
    ];
    for (const [name, value] of headers) {
      await refused('400 iot.parameterNotValid', '/topics/chat/a', { headers: { [name]: value } });
    }
  };
  it('for MQTT 5 headers that are not valid (hostile W09, W13, H04)', async () => {
    await takesValidHeaders();
    await bites(mqttLimits, 'userPropertiesMax', { value: 1_000 }, takesValidHeaders);
    await bites(mqttLimits, 'userPropertyBytesMax', { value: 1_000_000 }, takesValidHeaders);
  });

  const whoeverIsNobody = async () => {
    const world = await HttpWorld.start();
    const [one, two] = [await world.gateway.thing('one'), await world.gateway.thing('two')];
    const wrong = (user: string, password: string) => `Basic ${base64(`${user}:${password}`)}`;
    const tries = [
      undefined,
      '',
      'Basic',
      'Basic ',
      'Basic !!!',
      `Basic ${base64('one')}`,
      wrong('one', ''),
      wrong('one', two.password),
      wrong('two', one.password),
      wrong('', one.password),
      wrong('three', one.password),
      wrong('one', `${one.password} `),
      wrong('one.http', one.password),
      `Bearer ${one.password}`,
      `Digest username="one"`,
      wrong('o\0ne', one.password),
      `Basic ${base64(Buffer.concat([Buffer.from([0xff]), Buffer.from(`:${one.password}`)]))}`,
      wrong('+', one.password),
    ];
    for (const authorization of tries) {
      const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
      const said = await world.call(own, { headers });
      assert.deepEqual([said.status, said.body.code], [401, 'iot.unauthorized'], authorization);
      assert.match(said.headers['www-authenticate'], /^Basic /);
    }
    const others = ['one2', 'two', 'two.http', 'onehttp', '.one'];
    for (const clientId of others) {
      assert.equal(
        await world.statusOf(`${own}&clientId=${clientId}`, { as: 'one' }),
        '401 iot.unauthorized',
        clientId,
      );
    }
    assert.deepEqual(await world.gateway.telemetry(), []);
  };
  it('for everybody who is not let in, with the same words', async () => {
    await whoeverIsNobody();
    const admit: Access['authenticate'] = ({ clientId }) => ({
      admitted: true,
      identity: { clientId, thingName: 'one', principal: 'one' },
    });
    await bites(ThingAccess.prototype, 'authenticate', { value: admit, writable: true }, whoeverIsNobody);
  });

  const onlyOwnTopics = async () => {
    const topics = [
      'dt/app/two/reading',
      'dt/app/one',
      'cmd/app/one/x',
      '$SYS/a',
      '$aws/events/presence/connected/one',
      '$share/g/chat/a',
    ];
    for (const topic of topics) await refused('403 iot.forbidden', `/topics/${topic}`);
  };
  it('for topics of others, and those of the server (hostile A04, A05)', async () => {
    await onlyOwnTopics();
    const value: Access['judgePublish'] = () => ({ allowed: true, ingest: false });
    await bites(ThingAccess.prototype, 'judgePublish', { value, writable: true }, onlyOwnTopics);
  });

  const onlyOwnPages = async () => {
    const world = await HttpWorld.start();
    for (const origin of [
      'https://evil.example',
      'null',
      'http://gateway',
      'http://gateway:8080',
      'http://gateway:8083.evil.example',
      '',
    ]) {
      const said = await world.statusOf(own, { as: 'one', headers: { origin } });
      assert.equal(said, '403 iot.originNotAllowed', origin);
    }
    assert.equal(await world.statusOf(own, { as: 'one', headers: { origin: 'http://gateway:8083' } }), '200');
  };
  it('for pages of another site, which a browser tells (hostile U02)', async () => {
    await onlyOwnPages();
    await bites(URL.prototype, 'host', { get: () => 'gateway:8083' }, onlyOwnPages);
  });
});

describe('the body of a request', () => {
  const announced = (bytes: number) => ({ 'content-length': String(bytes) });

  it('is as large as what MQTT takes, topic and properties included (hostile H02)', async () => {
    const world = await HttpWorld.start();
    const client = await listener(world);
    const url = '/topics/chat/a?qos=1';
    const fits = mqttLimits.packetBytesMax - 15;
    assert.equal(await world.statusOf(url, { as: 'one', body: Buffer.alloc(fits) }), '200');
    assert.equal(client.take('publish').payload.length, fits);
    for (const more of [1, 15, 16, 1_000_000]) {
      const body = Buffer.alloc(fits + more);
      assert.equal(await world.statusOf(url, { as: 'one', body }), '413 iot.payloadTooLarge');
    }
    const properties = `${url}&contentType=text`;
    assert.equal(await world.statusOf(properties, { as: 'one', body: Buffer.alloc(fits) }), '413 iot.payloadTooLarge');
    const aws = await HttpWorld.start({ limits: awsLimits });
    assert.equal(await aws.statusOf(url, { as: 'one', body: Buffer.alloc(128 * 1024) }), '200');
    assert.equal(await aws.statusOf(url, { as: 'one', body: Buffer.alloc(128 * 1024 + 1) }), '413 iot.payloadTooLarge');
  });

  const readsNoMore = async () => {
    const world = await HttpWorld.start();
    let taken = 0;
    const endless = new Readable({
      highWaterMark: 64 * 1024,
      read() {
        taken += 64 * 1024;
        this.push(taken < 8 * 1024 * 1024 ? Buffer.alloc(64 * 1024) : null);
      },
    });
    assert.equal(await world.statusOf(own, { as: 'one', body: endless }), '413 iot.payloadTooLarge');
    assert(taken < 1024 * 1024, `${taken} bytes were taken`);
    const body = new PassThrough();
    assert.equal(await world.statusOf(own, { as: 'one', body, headers: announced(1e9) }), '413 iot.payloadTooLarge');
    const stranger = new PassThrough();
    assert.equal(await world.statusOf(own, { body: stranger }), '401 iot.unauthorized');
  };
  it('is read no further than that, nor at all if it says so or its sender is nobody (hostile H02)', async () => {
    await readsNoMore();
    const greedy: Bodies['read'] = async request => Buffer.concat(await request.toArray());
    await bites(Bodies.prototype, 'read', { value: greedy, writable: true }, readsNoMore);
  });

  const boundedTogether = async () => {
    const world = await HttpWorld.start();
    await world.gateway.thing('one');
    const slow = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const body = new PassThrough();
        const { answer } = await world.begin(own, { as: 'one', body });
        await world.gateway.settle();
        body.write(Buffer.alloc(200_000));
        await world.gateway.settle();
        return { body, answer };
      }),
    );
    const statuses = await Promise.all(slow.map(({ answer }) => Promise.race([answer, undefined])));
    const refused = statuses.filter(said => said?.status === 503).length;
    assert(refused >= 4, `${refused} were refused`);
    for (const { body } of slow) body.end();
    await world.gateway.durable();
    assert.equal(await world.statusOf(own, { as: 'one', body: Buffer.alloc(100_000) }), '200'); // There is room again.
  };
  it('has its share of what all bodies may take (hostile R02)', async () => {
    const restore = Object.getOwnPropertyDescriptor(dataPlaneLimits, 'bodiesBytesMax') ?? {};
    Object.defineProperty(dataPlaneLimits, 'bodiesBytesMax', { ...restore, value: 1_100_000 });
    try {
      await boundedTogether();
    } finally {
      Object.defineProperty(dataPlaneLimits, 'bodiesBytesMax', restore);
    }
    await assert.rejects(boundedTogether, assert.AssertionError);
  });

  it('of a client that leaves in the middle is forgotten', async () => {
    const world = await HttpWorld.start();
    const body = new PassThrough();
    const { answer } = await world.begin(own, { as: 'one', body });
    await world.gateway.settle();
    body.write('half');
    body.destroy();
    assert.equal(await world.gateway.clock.until(answer), undefined);
    assert.deepEqual(await world.gateway.telemetry(), []);
  });

  const judgedAnew = async () => {
    for (const change of ['thing', 'policy'] as const) {
      const world = await HttpWorld.start();
      const body = new PassThrough();
      const { answer } = await world.begin(own, { as: 'one', body });
      await world.gateway.advance(5_000);
      if (change === 'thing') await world.gateway.clock.until(world.gateway.gateway.deleteThing('one'));
      else world.gateway.policy.replace({ publish: [], ingest: [], subscribe: [] });
      body.end('late');
      const said = await world.gateway.clock.until(answer);
      assert.equal(said?.status, change === 'thing' ? 401 : 403);
      assert.deepEqual(await world.gateway.telemetry(), []);
    }
  };
  it('that takes its time is judged by the rules there are at its end (hostile A08, S09)', async () => {
    await judgedAnew();
    await bites(dataPlaneLimits, 'admissionMs', { value: 1e9 }, judgedAnew);
  });
});

describe('a publish over HTTP that cannot be taken now', () => {
  it('is told of a full disk, and taken when there is room (hostile T07)', async () => {
    for (const durable of [false, true]) {
      const world = await HttpWorld.start({ durable });
      await world.gateway.thing('one');
      await world.gateway.durable();
      world.gateway.disk.failNext({ operation: 'write', code: 'ENOSPC' });
      assert.equal(await world.statusOf(own, { as: 'one', body: 'lost' }), '507 iot.storageFull');
      assert.equal(await world.statusOf(own, { as: 'one', body: 'kept' }), '200');
      assert.deepEqual(await world.gateway.telemetry(), ['kept']);
    }
  });

  it('is never answered as kept when a sync has failed (hostile T06)', async () => {
    const world = await HttpWorld.start();
    await world.gateway.thing('one');
    await world.gateway.durable();
    world.gateway.disk.failNext({ operation: 'sync', code: 'EIO' });
    assert.equal(await world.statusOf(own, { as: 'one', body: 'lost' }), '503 iot.notStored');
    assert.equal(await world.statusOf(own, { as: 'one', body: 'too late' }), '503 iot.notStored');
    assert.equal(world.gateway.failures.length, 2);
  });

  it('is told when what it wants retained has no room (hostile D06)', async () => {
    const world = await HttpWorld.start({ limits: { ...brokerLimits, retainedMessagesMax: 1 } });
    assert.equal(await world.statusOf('/topics/chat/a?retain=true&qos=1', { as: 'one' }), '200');
    assert.equal(await world.statusOf('/topics/chat/b?retain=true&qos=1', { as: 'one' }), '507 iot.storageFull');
    assert.equal(await world.statusOf('/topics/chat/b?retain=true', { as: 'one' }), '507 iot.storageFull');
  });

  const withinItsRates = async () => {
    const world = await HttpWorld.start({ limits: { ...brokerLimits, publishesPerSecondMax: 2 } });
    for (const clientId of ['one.a', 'one.b']) {
      assert.equal(await world.statusOf(`${own}&clientId=${clientId}`, { as: 'one' }), '200');
    }
    const said = await world.call(`${own}&clientId=one.c`, { as: 'one' }); // Another id is no other sender.
    assert.deepEqual([said.status, said.body.code, said.headers['retry-after']], [429, 'iot.throttled', '1']);
    assert.equal(await world.statusOf('/topics/chat/a', { as: 'two' }), '200');
    await world.gateway.advance(1_000);
    assert.equal(await world.statusOf(own, { as: 'one' }), '200');
  };
  it('is refused beyond the rate of its sender (hostile H13)', async () => {
    await withinItsRates();
    await bites(Senders.prototype, 'isWithinRates', { value: () => true, writable: true }, withinItsRates);
    const all = await HttpWorld.start({ limits: { ...brokerLimits, totalPublishesPerSecondMax: 1 } });
    assert.equal(await all.statusOf('/topics/chat/a', { as: 'one' }), '200');
    assert.equal(await all.statusOf('/topics/chat/a', { as: 'two' }), '429 iot.throttled');
    const bytes = await HttpWorld.start({ limits: { ...brokerLimits, publishBytesPerSecondMax: 1_000 } });
    assert.equal(await bytes.statusOf('/topics/chat/a', { as: 'one', body: Buffer.alloc(2_000) }), '200');
    assert.equal(await bytes.statusOf('/topics/chat/a', { as: 'one' }), '429 iot.throttled');
  });

  const remembersSomeSenders = async () => {
    const world = await HttpWorld.start({ limits: { ...brokerLimits, publishesPerSecondMax: 1 } });
    for (const as of ['one', 'two']) assert.equal(await world.statusOf('/topics/chat/a', { as }), '200');
    assert.equal(await world.statusOf('/topics/chat/a', { as: 'one' }), '200'); // Forgotten meanwhile.
  };
  it('is counted for a bounded number of senders', async () => {
    await assert.rejects(remembersSomeSenders, assert.AssertionError);
    const restore = Object.getOwnPropertyDescriptor(dataPlaneLimits, 'sendersMax') ?? {};
    Object.defineProperty(dataPlaneLimits, 'sendersMax', { ...restore, value: 1 });
    try {
      await remembersSomeSenders();
    } finally {
      Object.defineProperty(dataPlaneLimits, 'sendersMax', restore);
    }
  });

  it('is refused while the disk is behind, instead of being heaped up (hostile D10)', async () => {
    const world = await HttpWorld.start();
    await world.gateway.thing('one');
    const { ingest } = world.gateway.gateway;
    world.gateway.disk.latencyMs = 60_000;
    ingest.offer('x', 't', Buffer.alloc(1_000));
    await world.gateway.settle(); // One group is on its way, and what follows gathers.
    while (!ingest.isSaturated) ingest.offer('x', 't', Buffer.alloc(1_000_000));
    const { answer } = await world.begin(own, { as: 'one' });
    await world.gateway.settle();
    assert.equal((await Promise.race([answer, undefined]))?.status, 503);
  });

  it('is refused while the gateway stops, and what was taken before is answered (hostile R08)', async () => {
    const world = await HttpWorld.start();
    const { answer } = await world.begin(own, { as: 'one', body: 'taken' });
    const body = new PassThrough();
    const slow = await world.begin(own, { as: 'one', body });
    await new Promise(resolve => setImmediate(resolve)); // Read, and on its way to the disk.
    const closing = world.gateway.gateway.close();
    body.end('late');
    await world.gateway.clock.until(closing);
    assert.equal((await answer)?.status, 200);
    assert.equal((await slow.answer)?.body.code, 'iot.shuttingDown');
    assert.deepEqual(await world.gateway.telemetry(), ['taken']);
  });

  it('tells nothing of an error of ours but where to look (hostile H14, R03)', async () => {
    const world = await HttpWorld.start();
    const { judgePublish } = ThingAccess.prototype;
    const restore = Object.getOwnPropertyDescriptor(ThingAccess.prototype, 'judgePublish') ?? {};
    const fail: typeof judgePublish = () => {
      throw new Error('secret of ours');
    };
    Object.defineProperty(ThingAccess.prototype, 'judgePublish', { ...restore, value: fail });
    try {
      const { status, body } = await world.call(own, { as: 'one' });
      assert.deepEqual([status, body.code], [500, 'iot.failed']);
      assert(!JSON.stringify(body).includes('secret'));
      const logged = world.gateway.logged.at(-1);
      assert.deepEqual([logged?.facts.traceId, logged?.facts.error], [body.traceId, 'secret of ours']);
    } finally {
      Object.defineProperty(ThingAccess.prototype, 'judgePublish', restore);
    }
  });
});

describe('who may publish', () => {
  const sameByAllDoors = async () => {
    const world = await HttpWorld.start();
    await world.gateway.thing('two');
    const topics = [
      'dt/app/one/reading',
      'chat/a',
      'will/one',
      'dt/app/two/reading',
      'will/two',
      'cmd/app/one/x',
      '$SYS/a',
      '$aws/events/x',
      'none',
    ];
    const statusOf = { 0: 200, 135: 403, 134: 401, closed: 0 };
    for (const topic of topics) {
      const mqtt = await world.mqttAnswer('one.mqtt', topic);
      const { status } = await world.call(`/topics/${encodeURIComponent(topic)}?qos=1`, { as: 'one' });
      assert.equal(status, statusOf[mqtt as keyof typeof statusOf], topic);
      const peer = { certificate: { certificateId: 'c0ffee', commonName: 'one' } };
      const byCertificate = await world.call(`/topics/${encodeURIComponent(topic)}?qos=1`, { peer });
      assert.equal(byCertificate.status, status, topic);
    }
    assert.equal(await world.mqttAnswer('one', 'chat/a', { password: 'wrong' }), 134);
  };
  it('is the same by HTTP, MQTT, password and certificate (hostile A07)', async () => {
    await sameByAllDoors();
    const careless: Access['judgePublish'] = ({ clientId }: Identity) => ({
      allowed: clientId === 'one.http',
      ingest: false,
    });
    await bites(ThingAccess.prototype, 'judgePublish', { value: careless, writable: true }, sameByAllDoors);
  });

  it('is a certificate of a registered thing, and nobody else’s', async () => {
    const world = await HttpWorld.start();
    await world.gateway.thing('one');
    const by = (commonName: string | undefined, url = own) =>
      world.statusOf(url, { peer: { certificate: { certificateId: 'c0ffee', commonName } } });
    assert.equal(await by('one'), '200');
    assert.equal(await by('one', `${own}&clientId=one.boot`), '200');
    for (const name of ['two', undefined, '', 'one.http', '+'])
      assert.equal(await by(name), '401 iot.unauthorized', name);
  });

  it('is by password and ACL files who is so over MQTT, anonymous ones where they are let in', async () => {
    const clock = new VirtualClock();
    const files = new TestDisk({ clock, random: seededRandom(1) });
    const put = async (filePath: string, text: string) => {
      const file = await files.open(filePath, { create: true });
      await file.write(Buffer.from(text), 0);
      await file.close();
    };
    const hashed = await hashPassword(Buffer.from('secret'), seededRandom(3), { iterations: 2 });
    await clock.until(put('/passwords', `alice:${hashed}\n`));
    await clock.until(put('/acl', 'topic write open/#\nuser alice\ntopic write a/#\npattern write c/%c/#\n'));
    const opening = (allowAnonymous: boolean) =>
      FileAccess.open({
        files,
        clock,
        random: seededRandom(2),
        passwordFile: '/passwords',
        aclFile: '/acl',
        allowAnonymous,
      });
    const alice = { headers: { authorization: `Basic ${base64('alice:secret')}` } };
    const wrong = { headers: { authorization: `Basic ${base64('alice:wrong')}` } };
    for (const allowAnonymous of [true, false]) {
      const access = await clock.until(opening(allowAnonymous));
      const world = await HttpWorld.start({ access });
      const expected: [string, CallOptions, string][] = [
        ['a/x', alice, '200'],
        ['b/x', alice, '403 iot.forbidden'],
        ['c/boot/x?clientId=boot', alice, '200'],
        ['c/boot/x?clientId=other', alice, '403 iot.forbidden'],
        ['c/boot/x', alice, '403 iot.forbidden'],
        ['a/x', wrong, '401 iot.unauthorized'],
        ['open/x', {}, allowAnonymous ? '200' : '401 iot.unauthorized'],
        ['a/x', {}, allowAnonymous ? '403 iot.forbidden' : '401 iot.unauthorized'],
      ];
      for (const [topic, options, status] of expected) {
        assert.equal(await world.statusOf(`/topics/${topic}`, options), status, `${topic} ${allowAnonymous}`);
      }
    }
  });
});
