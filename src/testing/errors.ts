import { MimamoriError } from '../kernel/errors.ts';

export const optionsNotValid = (message: string, fix: string) =>
  new MimamoriError({ code: 'testing.optionsNotValid', message, fix });

export const appClosed = () =>
  new MimamoriError({
    code: 'testing.closed',
    message: 'This app has been closed: nothing of it runs any more.',
    fix: 'Use it before the end of the block that declares it with `await using`, or start another.',
  });

export const notIdle = (withinMs: number, busy: readonly string[]) =>
  new MimamoriError({
    code: 'testing.notIdle',
    message: `After ${withinMs} ms of its time the app was still busy: ${listed(busy)}.`,
    fix: 'Give it more time with `within`, or look at what is named: something is tried again and again, or never ends.',
  });

export const neverHappened = (what: string, withinMs: number, busy: readonly string[]) =>
  new MimamoriError({
    code: 'testing.neverHappened',
    message: `It did not happen within ${withinMs} ms of the app's time: ${what}. ${
      busy.length === 0 ? 'Nothing was under way.' : `Under way: ${listed(busy)}.`
    }`,
    fix: 'Check that what should make it happen does: a device that is connected, a fault that has been stopped.',
  });

export const workNotAwaited = (functionName: string, call: string, how: string) =>
  new MimamoriError({
    code: 'testing.workNotAwaited',
    message: `${functionName} did not wait for ${call}: ${how}.`,
    fix: 'Await it, or whatever promise it is part of: on AWS an instance stands still when its invocation has ended, and the work is lost.',
  });

export const backendFailed = (cause: unknown, message: string) =>
  new MimamoriError({
    code: 'testing.backendFailed',
    message: `The storage of the app has failed, as it would end a process: ${message}.`,
    fix: 'If a fault was to do that, take it with `app.takeFailures()` and restart the app; else look at the cause.',
    cause,
  });

export const answerFailed = (thingName: string, command: string, message: string, cause?: unknown) =>
  new MimamoriError({
    code: 'testing.answerFailed',
    message: `What the test gave ${thingName} to answer ${command} with cannot be sent: ${message}.`,
    fix: "Correct the function given to `onCommand`; an answer that does not fit goes out with the device's `publishRaw`.",
    cause,
  });

export const payloadNotValid = (what: string, problems: string) =>
  new MimamoriError({
    code: 'testing.payloadNotValid',
    message: `${what} does not fit its schema: ${problems}.`,
    fix: 'Correct the test; what a faulty or hostile device sends goes out with `publishRaw`.',
  });

export const deviceOffline = (thingName: string) =>
  new MimamoriError({
    code: 'testing.deviceOffline',
    message: `${thingName} is not connected.`,
    fix: 'Connect it first: `await device.connect()`.',
  });

export const credentialsNotKnown = (thingName: string) =>
  new MimamoriError({
    code: 'testing.credentialsNotKnown',
    message: `${thingName} is registered, but not by this app while the test kit looked on, so nobody here knows its secret.`,
    fix: 'Let the app or the test kit register it, or start from a snapshot, which knows the secrets.',
  });

export const unexpected = (message: string, fix: string) =>
  new MimamoriError({ code: 'testing.unexpected', message, fix });

export const requestRefused = (request: string, status: number, problem: string) =>
  new MimamoriError({
    code: 'testing.requestRefused',
    message: `${request} was answered ${status}: ${problem.replace(/\.$/, '')}.`,
    fix: 'If it was to be refused, ask with `ask`, which gives status and body.',
  });

export const fixtureNotPossible = (path: string, reason: string) =>
  new MimamoriError({
    code: 'testing.fixtureNotPossible',
    message: `No value for ${path} can be made up: ${reason}.`,
    fix: `Give it where the entity is built, or once for all: fixtures(model, { make: { '${path}': ({ index }) => … } }).`,
  });

export const fixtureNotValid = (what: string, problems: string) =>
  new MimamoriError({
    code: 'testing.fixtureNotValid',
    message: `${what} is not valid: ${problems}.`,
    fix: 'Correct it, or the schema of the entity.',
  });

export const recordingNotValid = (where: string, problem: string) =>
  new MimamoriError({
    code: 'testing.recordingNotValid',
    message: `${where} is no recording that can be replayed: ${problem}.`,
    fix: 'Record it again with `mimamori record`, or correct the line that is named.',
  });

const listedMax = 10; // ours: what a reader takes in

/** Some of many, and how many more there are. */
export function listed(all: readonly string[]): string {
  const more = all.length - listedMax;
  return all.slice(0, listedMax).join('; ') + (more > 0 ? `; and ${more} more` : '');
}
