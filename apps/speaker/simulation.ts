/**
 * A household of simulated speakers. Each lives a plausible day, sped up: somebody gets up, leaves, comes home, leaves
 * again. A phone registers messages for them, and the speakers play what they are told, mostly.
 */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { commandTopic, telemetryTopic } from '../../src/app/index.ts';
import { MqttClient } from '../../src/device/index.ts';
import { delay } from '../../src/kernel/clock.ts';
import type { Simulation, SimulationPlace } from '../../src/local/simulation.ts';

interface Credentials {
  readonly clientId: string;
  readonly username: string;
  readonly password: string;
}

interface SimulatedSpeaker {
  readonly name: string;
  readonly credentials: Credentials;
}

const application = 'speaker-app';
const names = ['Living room', 'Kitchen', 'Entrance', "Grandma's room", 'Study'];

/** Half an hour of the day passes in one second. */
const speed = 1_800;
const hourMs = 3_600_000;

/** When somebody passes a speaker on a usual day: hour, direction. Each day shifts them by up to half an hour. */
const usualDay: readonly (readonly [hour: number, type: 'enter' | 'leave'])[] = [
  [6.5, 'enter'],
  [8.25, 'leave'],
  [12.5, 'enter'],
  [13.25, 'leave'],
  [17.75, 'enter'],
  [19, 'leave'],
  [19.5, 'enter'],
  [23, 'leave'],
];

const messages = {
  enter: [
    'Welcome home.',
    'There is soup in the fridge.',
    'Please water the plants.',
    'お帰りなさい。',
    'Call your sister back.',
  ],
  leave: [
    'Take your umbrella.',
    'Did you turn off the stove?',
    'Have a good day.',
    '行ってらっしゃい。',
    'Keys, phone, wallet.',
  ],
  now: ['Dinner is ready.', 'The washing machine has finished.'],
} as const;

export const simulate: Simulation = async place => {
  const speakers = await registerSpeakers(place);
  await Promise.all(speakers.map((speaker, index) => live(speaker, index, place)));
};

/** The same speakers as last time if the backend still knows them, else new ones. */
async function registerSpeakers(place: SimulationPlace): Promise<SimulatedSpeaker[]> {
  const file = path.join(place.dataDirectory, 'simulation.json');
  const known: SimulatedSpeaker[] = await readFile(file, 'utf8').then(JSON.parse, () => []);
  const { items } = await call<{ items: { speakerId: string }[] }>(place, 'GET', '/v1/speakers?limit=100');
  const still = known.filter(({ credentials }) => items.some(({ speakerId }) => speakerId === credentials.clientId));
  if (still.length === names.length) return still;
  const speakers: SimulatedSpeaker[] = [];
  for (const name of names) {
    const { credentials } = await call<{ credentials: Credentials }>(place, 'POST', '/v1/speakers', { name });
    speakers.push({ name, credentials });
  }
  await writeFile(file, JSON.stringify(speakers), { mode: 0o600 });
  return speakers;
}

/** One speaker: connected, listening, and detecting people day after day. Reconnects when the connection is lost. */
async function live(speaker: SimulatedSpeaker, index: number, place: SimulationPlace): Promise<void> {
  const { clock } = place;
  const connection = new SpeakerConnection(speaker, place);
  await delay(clock, index * 300);
  for (;;) {
    let hour = 6;
    for (const [usualHour, type] of usualDay) {
      const at = Math.max(hour, usualHour + (place.random.integer(60) - 30) / 60);
      await delay(clock, ((at - hour) * hourMs) / speed);
      hour = at;
      if (place.random.integer(3) > 0) await registerMessage(speaker, type, place);
      await connection.detect(type);
    }
    await delay(clock, ((30 - hour) * hourMs) / speed); // Until six in the morning.
  }
}

/** The phone's part: a message for the person who is about to pass. */
async function registerMessage(
  { credentials }: SimulatedSpeaker,
  type: 'enter' | 'leave',
  place: SimulationPlace,
): Promise<void> {
  const playOn = place.random.integer(8) === 0 ? 'now' : type;
  const texts = messages[playOn];
  const text = texts[place.random.integer(texts.length)];
  await call(place, 'POST', `/v1/speakers/${credentials.clientId}/messages`, { text, playOn }).catch(() => {
    // The app thread may be starting again: this person simply finds no message.
  });
}

class SpeakerConnection {
  readonly #speaker: SimulatedSpeaker;
  readonly #place: SimulationPlace;
  #client: Promise<MqttClient> | undefined;

  constructor(speaker: SimulatedSpeaker, place: SimulationPlace) {
    this.#speaker = speaker;
    this.#place = place;
  }

  /** Publishes until it is acknowledged. */
  async detect(type: 'enter' | 'leave'): Promise<void> {
    const { clock } = this.#place;
    const topic = telemetryTopic(application, 'detect-person', this.#speaker.credentials.clientId, type);
    const payload = JSON.stringify({ at: new Date(clock.nowMs()).toISOString() });
    for (let waitMs = 250; ; waitMs = Math.min(waitMs * 2, 10_000)) {
      try {
        const client = await this.#connected();
        return await client.publish(topic, payload);
      } catch {
        await delay(clock, waitMs + this.#place.random.integer(waitMs));
      }
    }
  }

  #connected(): Promise<MqttClient> {
    this.#client ??= this.#connect().catch(error => {
      this.#client = undefined;
      throw error;
    });
    return this.#client;
  }

  async #connect(): Promise<MqttClient> {
    const { credentials } = this.#speaker;
    const { sockets, clock, host, mqttPort: port } = this.#place;
    const client = await MqttClient.connect({
      ...credentials,
      sockets,
      clock,
      host,
      port,
      onMessage: (_topic, payload) => this.#play(JSON.parse(Buffer.from(payload).toString())),
      onClose: () => {
        this.#client = undefined;
      },
    });
    await client.subscribe(commandTopic(application, 'play-message', credentials.clientId, 'req'));
    return client;
  }

  /** Speaking takes a moment; now and then the loudspeaker is not up to it. */
  async #play({ sessionId }: { sessionId: string }): Promise<void> {
    const { clock, random } = this.#place;
    await delay(clock, 20 + random.integer(60));
    const answer =
      random.integer(25) === 0 ? { status: 'failed', detail: 'the loudspeaker is busy' } : { status: 'played' };
    const topic = commandTopic(application, 'play-message', this.#speaker.credentials.clientId, 'res');
    const client = await this.#connected();
    await client.publish(topic, JSON.stringify({ sessionId, ...answer })).catch(() => {
      // Without an answer the backend asks again.
    });
  }
}

async function call<T>(place: SimulationPlace, method: string, route: string, body?: object): Promise<T> {
  const answer = await fetch(place.httpUrl + route, {
    method,
    headers: { Authorization: `Bearer ${place.token}`, 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method} ${route} answered ${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as T; // As the API reference says.
}
