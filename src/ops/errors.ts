import { MimamoriError } from '../kernel/errors.ts';

export const channelNotValid = (name: string) =>
  new MimamoriError({
    code: 'logs.channelNotValid',
    message: `A channel of logs cannot be called ${JSON.stringify(name.slice(0, 60))}.`,
    fix: 'Use 1 to 32 lower case letters, digits and hyphens, a letter first; `system` and `app` are taken.',
  });

export const questionNotValid = (problem: string) =>
  new MimamoriError({
    code: 'logs.questionNotValid',
    message: `The question to the logs is not valid: ${problem}.`,
    fix: 'See `mimamori logs --help`.',
  });

export const tooManyFollowers = (followersMax: number) =>
  new MimamoriError({
    code: 'logs.tooManyFollowers',
    message: `The logs are followed by ${followersMax} already, which is as many as may.`,
    fix: 'End one of them; without --follow the lines that are there are always given.',
    retryable: true,
  });

export const metricsNotValid = (problem: string) =>
  new MimamoriError({
    code: 'metrics.notValid',
    message: `A metric is not valid: ${problem}.`,
    fix: 'Names and dimensions are letters, digits and _, a letter first; see src/ops/README.md.',
  });

export const webhookNotValid = (problem: string) =>
  new MimamoriError({
    code: 'alarms.webhookNotValid',
    message: `The address that alarms are to be sent to is not valid: ${problem}.`,
    fix: 'Give an http or https URL that takes a POST with JSON.',
  });

export const alarmNotFound = (name: string, subject: string) =>
  new MimamoriError({
    code: 'alarms.notFound',
    message: `There is no active alarm ${name} about ${subject}.`,
    fix: 'See `mimamori alarms` for those that are.',
  });
