/** Plays a recording: the same devices and users do the same again, at the same distances in time. */

import { codeOf, messageOf } from '../../kernel/errors.ts';
import type { VirtualDevice } from '../devices/virtual-device.ts';
import { recordingNotValid } from '../errors.ts';
import type { EntityLists } from '../fixtures/fixture-file.ts';
import type { ModelParts } from '../model-types.ts';
import type { TestApp } from '../test-app.ts';
import { LearntIds } from './learnt-ids.ts';
import type { Recording, RecordingEntry } from './recording.ts';

export interface Replayed {
  /** What came out otherwise than it did, in words: requests with another status, messages that were not taken. */
  readonly differences: readonly string[];
}

type EntryOf<Kind extends RecordingEntry['kind']> = Extract<RecordingEntry, { readonly kind: Kind }>;
type Answer = EntryOf<'answer'>;

/** Content when the app does something else than it did: `differences` tells. Throws what the app did wrong meanwhile. */
export async function replay<M extends ModelParts>(app: TestApp<M>, recording: Recording): Promise<Replayed> {
  if (recording.application !== app.model.application)
    throw recordingNotValid('This', `it is of ${recording.application}, the app is ${app.model.application}`);
  const player = new Player(app, recording);
  await player.play();
  return { differences: player.differences };
}

class Player<M extends ModelParts> {
  readonly differences: string[] = [];
  readonly #app: TestApp<M>;
  readonly #recording: Recording;
  readonly #ids = new LearntIds();
  readonly #devices = new Map<string, VirtualDevice<M>>();
  /** By thing and command, in the order they came. */
  readonly #answers = new Map<string, Answer[]>();

  constructor(app: TestApp<M>, recording: Recording) {
    this.#app = app;
    this.#recording = recording;
    for (const entry of recording.entries) {
      if (entry.kind !== 'answer') continue;
      const key = keyOf(entry.thingName, entry.command);
      this.#answers.set(key, [...(this.#answers.get(key) ?? []), entry]);
    }
  }

  async play(): Promise<void> {
    const { entries, durationMs } = this.#recording;
    await this.#loadEntities(entries);
    for (const thingName of thereFromTheStart(entries)) await this.#connected(thingName);
    const beganAtMs = this.#app.now().getTime();
    for (const entry of entries) {
      if (entry.kind === 'entity') continue;
      await this.#app.advance(Math.max(0, beganAtMs + entry.atMs - this.#app.now().getTime()));
      await this.#playOne(entry);
    }
    await this.#app.advance(Math.max(0, beganAtMs + durationMs - this.#app.now().getTime()));
    await this.#app.runUntilIdle();
  }

  async #loadEntities(entries: readonly RecordingEntry[]): Promise<void> {
    const lists = new Map<string, object[]>();
    for (const entry of entries) {
      if (entry.kind !== 'entity') continue;
      const list = lists.get(entry.entity);
      if (list === undefined) lists.set(entry.entity, [entry.attributes]);
      else list.push(entry.attributes);
    }
    await this.#app.load(Object.fromEntries(lists) as unknown as EntityLists<M>); // It checks names and attributes itself.
  }

  async #playOne(entry: Exclude<RecordingEntry, EntryOf<'entity'>>): Promise<void> {
    switch (entry.kind) {
      case 'request':
        return this.#ask(entry);
      case 'connected':
        return void (await this.#connected(entry.thingName));
      case 'disconnected':
        return (await this.#device(entry.thingName)).disconnect();
      case 'message':
        return this.#publish(entry);
      case 'answer':
        return; // Its device gives it when it is asked.
    }
  }

  async #ask({ user, method, path, body, status, answer }: EntryOf<'request'>): Promise<void> {
    const { text, value } = { text: (then: string) => this.#ids.text(then), value: this.#ids.value(body) };
    const now = await this.#app.user(text(user)).ask(method, text(path), value);
    if (now.status !== status) {
      const why = now.status >= 400 ? `: ${now.body?.code} ${now.body?.detail}` : '';
      this.differences.push(`${method} ${path} was answered ${status} then, and ${now.status} now${why}`);
    }
    this.#ids.learn(answer, now.body);
  }

  async #publish({ thingName, topic, payload, payloadText, payloadBase64 }: EntryOf<'message'>): Promise<void> {
    const device = await this.#connected(thingName);
    const bytes = payloadBase64 === undefined ? undefined : Buffer.from(payloadBase64, 'base64');
    const text = payloadText === undefined ? undefined : this.#ids.text(payloadText);
    try {
      await device.publishRaw(this.#ids.text(topic), bytes ?? text ?? JSON.stringify(this.#ids.value(payload)));
    } catch (error) {
      this.differences.push(`${thingName} could not publish to ${topic}: ${codeOf(error)} ${messageOf(error)}`);
    }
  }

  async #connected(thingName: string): Promise<VirtualDevice<M>> {
    const device = await this.#device(thingName);
    await device.connect();
    return device;
  }

  /** Answers as it did then: the first request of a command with the first answer, and so on. */
  async #device(thingName: string): Promise<VirtualDevice<M>> {
    const known = this.#devices.get(thingName);
    if (known !== undefined) return known;
    const device = await this.#app.device(this.#ids.text(thingName), { isConnected: false });
    this.#devices.set(thingName, device);
    for (const command of Object.keys(this.#app.model.commands)) {
      const answers = this.#answers.get(keyOf(thingName, command)) ?? [];
      const given = [...answers];
      const waits = answers.map(({ afterMs }) => afterMs);
      // Of the response's type, as the app took it then; what does not fit any more is told as the test's mistake.
      device.onCommand(command, () => this.#ids.value(given.shift()?.response) as never, {
        after: () => waits.shift() ?? 0,
      });
    }
    return device;
  }
}

function keyOf(thingName: string, command: string): string {
  return JSON.stringify([thingName, command]);
}

/** Things that were connected before the recording began: what they do first is not to connect, and no answer names them before. */
function thereFromTheStart(entries: readonly RecordingEntry[]): Set<string> {
  const there = new Set<string>();
  const seen = new Set<string>();
  let answers = '';
  for (const entry of entries) {
    if (entry.kind === 'entity') continue;
    if (entry.kind === 'request') {
      answers += JSON.stringify(entry.answer ?? '');
      continue;
    }
    if (seen.has(entry.thingName)) continue;
    seen.add(entry.thingName);
    if (entry.kind !== 'connected' && !answers.includes(JSON.stringify(entry.thingName))) there.add(entry.thingName);
  }
  return there;
}
