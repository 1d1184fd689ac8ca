/** In which ways an app under test is treated as unkindly as by the cloud; each can be left out, for a reason. */
import { optionsNotValid } from '../errors.ts';

export const strictnessNames = [
  /** Lists show what is written a little later. */
  'laggingIndexes',
  /** Presence events come twice, the second time perhaps behind later ones. */
  'repeatedPresence',
  /** Work that goes on when its invocation has ended is lost, and an error. */
  'awaitedWork',
  /** Invocations of one function take turns on several copies of the app's modules. Needs the app as a URL. */
  'recycledInstances',
  /** What AWS refuses or throttles is refused or throttled. */
  'cloudLimits',
] as const;

export type StrictnessName = (typeof strictnessNames)[number];

/** What is left out, and why. */
export type Leniency = { readonly [Name in StrictnessName]?: string };

export type Strictness = { readonly [Name in StrictnessName]: boolean };

/** Throws `testing.optionsNotValid` for a name there is not, and for what is left out without a reason. */
export function strictnessOf(lenient: Leniency = {}): Strictness {
  for (const [name, reason] of Object.entries(lenient)) {
    if (!(strictnessNames as readonly string[]).includes(name)) {
      throw optionsNotValid(`There is no strictness "${name}".`, `There are ${strictnessNames.join(', ')}.`);
    }
    if (typeof reason !== 'string' || reason.trim() === '') {
      throw optionsNotValid(`${name} is left out without a reason.`, `Say why: lenient: { ${name}: 'because …' }.`);
    }
  }
  const isOn = (name: StrictnessName) => lenient[name] === undefined;
  return {
    laggingIndexes: isOn('laggingIndexes'),
    repeatedPresence: isOn('repeatedPresence'),
    awaitedWork: isOn('awaitedWork'),
    recycledInstances: isOn('recycledInstances'),
    cloudLimits: isOn('cloudLimits'),
  };
}
