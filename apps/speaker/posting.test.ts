import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { dataPlaneLimits } from '../../src/iot/http/index.ts';
import { bites } from '../../src/kernel/bites.ts';
import { household } from './household.ts';

/** A household whose speaker is on a battery: it wakes up, posts, does what the answer says, and sleeps. */
async function postingHousehold() {
  const home = await household();
  const speaker = await home.app.postingDevice(home.speakerId);
  const detect = (type: 'enter' | 'leave') =>
    speaker.publish('detect-person', type, { at: home.app.now().toISOString() });
  return { ...home, speaker, detect };
}

const textOf = ({ payload }: { payload: unknown }) => (payload as { text: string }).text;

describe('a speaker that only posts (covers S3-08)', () => {
  const getsItsCommand = async () => {
    await using home = await postingHousehold();
    const { app, speaker, detect } = home;
    assert.deepEqual(await detect('enter'), []);
    await app.advance('1h');
    await home.say({ text: 'Dinner', playOn: 'now' });
    await app.advance('5h');
    const carried = await detect('leave');
    assert.deepEqual(
      carried.map(({ topic, duplicate, ...message }) => [topic, textOf(message), duplicate]),
      [[`cmd/speaker-app/play-message/${home.speakerId}/req`, 'Dinner', false]],
    );
    await app.advance('3s');
    assert.deepEqual(await speaker.answer('play-message', carried[0], { status: 'played' }), []);
    await app.advance('1h');
    assert.deepEqual(await detect('enter'), []); // It is not told again.
    await app.runUntilIdle();
    assert.deepEqual(await home.types(), ['enter', 'played', 'leave', 'enter']);
    app.messages.none({ topic: /presence/ });
  };
  it('gets its command in the answer to its next post, hours later, and resolves it by another', async () => {
    await getsItsCommand();
    // What makes it so: the app is given the time to hear that the speaker is there.
    await bites(dataPlaneLimits, 'waitMsDefault', { value: 0 }, getsItsCommand);
  });

  it('gets in the answer what its own post has caused', async () => {
    await using home = await postingHousehold();
    await home.say({ text: 'Welcome home', playOn: 'enter' });
    const before = home.app.now();
    const [welcome] = await home.detect('enter');
    assert.equal(textOf(welcome), 'Welcome home');
    assert(home.app.now().getTime() - before.getTime() < 500); // It is not made to wait when there is something.
    await home.speaker.answer('play-message', welcome, { status: 'played' });
    await home.app.runUntilIdle();
    assert.deepEqual(await home.types(), ['played', 'enter']);
  });

  it('gets it again when it has not said that it has it, and resolves it hours after it was sent', async () => {
    await using home = await postingHousehold();
    await home.say({ text: 'Dinner', playOn: 'now' });
    const [lost] = await home.detect('enter'); // The answer never arrives.
    await home.app.advance('2s');
    const again = await home.detect('leave');
    assert.deepEqual(again, [{ ...lost, duplicate: true }]);
    await home.app.advance('2h'); // It plays slowly.
    // The answer counts before the post does as a return.
    assert.deepEqual(await home.speaker.answer('play-message', again[0], { status: 'played' }), []);
    await home.app.advance('1m');
    assert.deepEqual(await home.types(), ['played', 'leave', 'enter']);
  });

  it('gets what waited before the power went', async () => {
    await using home = await postingHousehold();
    await home.detect('enter');
    await home.say({ text: 'Dinner', playOn: 'now' });
    await home.app.advance('1s');
    await home.app.cutPower();
    await home.app.advance('1h');
    assert.deepEqual((await home.detect('leave')).map(textOf), ['Dinner']);
  });
});
