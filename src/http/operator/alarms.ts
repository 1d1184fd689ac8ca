import type { Context } from 'hono';
import { z } from 'zod';
import { problemsOf } from '../../app/index.ts';
import { type AlarmControl, type AlarmState, opsProblems } from '../../ops/index.ts';
import { inputNotValid } from '../problems.ts';
import type { OperatorRoute } from './operator.ts';
import { alarmsPath } from './paths.ts';

export interface AlarmsAnswer {
  /** Those that last, the newest first, then those that are over. */
  readonly alarms: readonly AlarmState[];
}

export interface AlarmRoutesOptions {
  readonly list: () => readonly AlarmState[] | Promise<readonly AlarmState[]>;
  /** Does what it is asked soon, perhaps on another thread. */
  readonly control: AlarmControl;
}

const alarmBody = z.strictObject({ name: z.string().min(1), subject: z.string().min(1) });

export function alarmRoutes({ list, control }: AlarmRoutesOptions): OperatorRoute[] {
  const act = async (c: Context, action: (name: string, subject: string) => void) => {
    const parsed = alarmBody.safeParse(await c.req.json().catch(() => undefined));
    if (!parsed.success) throw inputNotValid('body', problemsOf(parsed.error));
    const { name, subject } = parsed.data;
    const isActive = (await list()).some(
      alarm => alarm.name === name && alarm.subject === subject && alarm.state !== 'cleared',
    );
    if (!isActive) throw opsProblems.alarmNotFound(name, subject);
    action(name, subject);
    return c.json({ name, subject });
  };
  return [
    { method: 'GET', path: alarmsPath, answer: async c => c.json({ alarms: await list() } satisfies AlarmsAnswer) },
    { method: 'POST', path: `${alarmsPath}/ack`, answer: c => act(c, (...alarm) => control.acknowledge(...alarm)) },
    { method: 'POST', path: `${alarmsPath}/clear`, answer: c => act(c, (...alarm) => control.clear(...alarm)) },
  ];
}
