/** Whether functions are declared with what can be kept to. Checked when the app is defined, before anything runs. */
import { functionLimits, laterLimits } from '../platform/functions/index.ts';
import { appNotValid } from './errors.ts';
import type { AppFunction, DirectFunction, FunctionOptions, LaterFunctionOptions, ScheduleFunction } from './model.ts';
import type { AnyModel } from './topics.ts';
import { timesOf } from './triggers/schedule-times.ts';

/** Throws `app.notValid`. */
export function checkFunctionOptions(model: AnyModel, functions: Readonly<Record<string, AppFunction>>): void {
  for (const [functionName, declared] of Object.entries(functions)) {
    checkOptions(functionName, declared.options);
    if (declared.kind === 'schedule') timesOf(functionName, declared.times);
    if (declared.kind === 'schedule' || declared.kind === 'direct') checkLater(functionName, declared, model);
  }
  for (const name of Object.keys(model.functions)) checkDirect(name, functions);
}

function checkOptions(functionName: string, options: FunctionOptions): void {
  const { timeoutMsMax, memoryMegabytesDefault, memoryMegabytesMax } = functionLimits;
  const { timeoutMs, attemptsMax, reservedConcurrency, memoryMegabytes, isolated, budget = {} } = options;
  const check = checkerOf(functionName);
  check('timeoutMs', timeoutMs, 1, timeoutMsMax);
  check('attemptsMax', attemptsMax, 1, Number.MAX_SAFE_INTEGER);
  check('reservedConcurrency', reservedConcurrency, 0, Number.MAX_SAFE_INTEGER);
  check('memoryMegabytes', memoryMegabytes, memoryMegabytesDefault, memoryMegabytesMax);
  check('budget.invocationsPerMinuteMax', budget.invocationsPerMinuteMax, 1, Number.MAX_SAFE_INTEGER);
  check('budget.computeMsPerMinuteMax', budget.computeMsPerMinuteMax, 1, Number.MAX_SAFE_INTEGER);
  if (memoryMegabytes !== undefined && !isolated) {
    const fix = 'Declare it isolated, or leave the memory to the thread of the app.';
    throw appNotValid(`${functionName} has memoryMegabytes, and no memory of its own.`, fix);
  }
}

function checkLater(
  functionName: string,
  { options }: ScheduleFunction | DirectFunction,
  { functions }: AnyModel,
): void {
  const { attemptsMax, eventAgeMsMax, onSuccess, onFailure }: LaterFunctionOptions = options;
  const check = checkerOf(functionName);
  check('attemptsMax', attemptsMax, 1, laterLimits.attemptsMax);
  check('eventAgeMsMax', eventAgeMsMax, 1, laterLimits.eventAgeMsMax);
  for (const destination of [onSuccess, onFailure]) {
    if (destination === undefined || Object.hasOwn(functions, destination)) continue;
    const fix = "Declare it in the model's `functions`.";
    throw appNotValid(`${functionName} tells its end to ${destination}, which is no function of the model.`, fix);
  }
}

function checkDirect(name: string, functions: Readonly<Record<string, AppFunction>>): void {
  const all = Object.entries(functions).filter(([, declared]) => declared.kind === 'direct' && declared.name === name);
  if (all.length === 1) return;
  const found = all.length === 0 ? 'there is no function for it' : `there are ${all.map(([key]) => key).join(' and ')}`;
  throw appNotValid(
    `The model says that ${name} can be called, and ${found}.`,
    'Give the app one, made with onInvoke.',
  );
}

function checkerOf(functionName: string) {
  return (option: string, value: number | undefined, least: number, most: number) => {
    if (value === undefined || (Number.isInteger(value) && value >= least && value <= most)) return;
    const range = most === Number.MAX_SAFE_INTEGER ? `from ${least}` : `from ${least} to ${most}`;
    throw appNotValid(`${functionName} has the ${option} ${value}.`, `Give a whole number ${range}.`);
  };
}
