/**
 * Households made up from seeds: phones and speakers do what they do in some order, in rough ones things go wrong on the way, and
 * what must be true of any household is looked at in the end. Each is an app of its own; `npm run test:long` runs five hundred.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ledgerAlarm } from '../../src/app/ledger/index.ts';
import { seededRandom } from '../../src/kernel/random.ts';
import { testScale } from '../../test/support.ts';
import { household } from './household.ts';

const scenarios = testScale(5, 250); // of each kind
const firstSeed = Number(process.env.SEED ?? Date.now() % 1_000_000);
const stepsPerScenario = 4;

/** `rough`: messages come twice or not at all, and the app is killed now and then. */
export type Kind = 'calm' | 'rough';

type Home = Awaited<ReturnType<typeof household>>;

interface Told {
  /** Times of detections that were acknowledged. */
  readonly detected: Set<string>;
  /** Messages that were registered, and those that were deleted. */
  readonly registered: Set<string>;
  readonly deleted: Set<string>;
}

async function scenario(kind: Kind, seed: number): Promise<void> {
  await using home = await household({ seed });
  const { app } = home;
  const random = seededRandom(seed);
  const pick = <T>(choices: readonly T[]): T => choices[random.integer(choices.length)];
  const speaker = await home.speaker();
  if (kind === 'rough') {
    app.faults.stream.duplicate({ topic: /detect-person/, chance: 0.3 });
    app.faults.down.duplicate({ chance: 0.2 });
  }
  const told: Told = { detected: new Set(), registered: new Set(), deleted: new Set() };
  const { calm, rough } = stepsOf(home, told, pick);
  const steps = kind === 'calm' ? calm : [...calm, ...rough];
  for (let step = 0; step < stepsPerScenario; step++) {
    await pick(steps)(speaker);
    await app.advance(random.integer(15_000));
  }
  app.faults.stopAll();
  await speaker.connect();
  await speaker.publish('detect-person', 'enter', { at: app.now().toISOString() });
  await app.advance('3m'); // The ledger is compared, and every command has been answered or given up.
  await expectTruth(home, told);
}

type Speaker = Awaited<ReturnType<Home['speaker']>>;

function stepsOf({ app, alice, path }: Home, told: Told, pick: <T>(choices: readonly T[]) => T) {
  const detect = async (speaker: Speaker) => {
    const at = app.now().toISOString();
    const type = pick(['enter', 'leave'] as const);
    if (speaker.isConnected)
      await speaker.publish('detect-person', type, { at }).then(() => told.detected.add(at), ignore);
  };
  const say = async () => {
    const message = { text: 'Hello', playOn: pick(['enter', 'leave', 'now']) };
    const { status, body } = await alice.ask('POST', `${path}/messages`, message);
    if (status === 201) told.registered.add(body.messageId);
  };
  const forget = async () => {
    const messageId = [...told.registered].at(-1);
    if (messageId === undefined) return;
    const { status } = await alice.ask('DELETE', `${path}/messages/${messageId}`);
    if (status === 204) told.deleted.add(messageId);
  };
  const goWrong = () => {
    const often = { times: 2 };
    pick([
      () => app.faults.commands.drop(often),
      () => app.faults.commands.duplicate(often),
      () => app.faults.down.drop(often),
      () => app.faults.down.delay('3s', often),
      () => app.faults.up.duplicate(often),
      () => app.faults.up.drop(often),
      () => app.faults.stream.duplicate(often),
      () => app.faults.table.throttle({ times: 5 }),
    ])();
  };
  const calm = [
    detect,
    detect,
    detect,
    say,
    say,
    say,
    forget,
    (speaker: Speaker) => pick([() => speaker.losePower(), () => speaker.disconnect(), () => speaker.connect()])(),
  ];
  const rough = [
    goWrong,
    async (speaker: Speaker) => {
      await pick([() => app.restart(), () => app.kill(), () => app.cutPower()])();
      await speaker.connect();
    },
  ];
  return { calm, rough };
}

/** What a phone shows is what was acknowledged, each once; nothing deleted is left, and nothing waits for ever. */
async function expectTruth({ app, speakerId }: Home, told: Told): Promise<void> {
  const events = (await app.items('Event')).where({ speakerId });
  for (const at of told.detected) events.one({ at, type: (type: string) => type === 'enter' || type === 'leave' });
  const messages = (await app.items('Message')).where({ speakerId });
  for (const messageId of told.registered) {
    const ends = events.where({ messageId }).length;
    if (told.deleted.has(messageId)) messages.none({ messageId });
    else assert.equal(messages.one({ messageId }).status === 'waiting' ? 0 : 1, ends);
    assert(ends <= 1, `${messageId} ended ${ends} times`);
  }
  app.alarms.none({ name: ledgerAlarm });
  (await app.commands()).none({ outcome: 'pending' });
  messages.none({ status: 'sending' });
}

function ignore(): void {}

/** Declares the tests of one kind of household. */
export function households(kind: Kind): void {
  describe(`${kind} households, made up from seeds ${firstSeed} to ${firstSeed + scenarios - 1} (covers S0-43)`, () => {
    for (let seed = firstSeed; seed < firstSeed + scenarios; seed++) {
      it(`keep what they have promised: seed ${seed}`, () => scenario(kind, seed));
    }
  });
}
