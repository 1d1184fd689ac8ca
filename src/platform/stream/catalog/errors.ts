import { MimamoriError } from '../../../kernel/errors.ts';
import { catalogLimits } from './limits.ts';

export const streamNotFound = (name: string) =>
  new MimamoriError({
    code: 'catalog.streamNotFound',
    message: `There is no stream ${name}.`,
    fix: 'Check the name, or create the stream.',
  });

export const streamExists = (name: string) =>
  new MimamoriError({
    code: 'catalog.streamExists',
    message: `There is a stream ${name} already.`,
    fix: 'Use it, choose another name, or delete it and wait until it is gone.',
  });

/** Carries what the stream is busy with. */
export class StreamInUseError extends MimamoriError {
  readonly status: string;

  constructor(name: string, status: string) {
    super({
      code: 'catalog.streamInUse',
      message: `Stream ${name} is ${status}, and this needs it ACTIVE.`,
      fix: 'Wait until the stream is ACTIVE, then ask again.',
      retryable: true,
    });
    this.status = status;
  }
}

export const streamsTooMany = () =>
  new MimamoriError({
    code: 'catalog.streamsTooMany',
    message: `There are ${catalogLimits.streamsMax} streams, which is as many as there may be.`,
    fix: 'Delete streams that nobody needs any more.',
  });

/** Carries how many there are, and how many more were asked for. */
export class ShardsTooManyError extends MimamoriError {
  readonly open: number;
  readonly more: number;

  constructor(open: number, more: number) {
    super({
      code: 'catalog.shardsTooMany',
      message: `${open} shards are open and ${more} more are asked for; all streams together may have ${catalogLimits.openShardsMax}.`,
      fix: 'Ask for fewer shards, merge some, or delete streams.',
    });
    this.open = open;
    this.more = more;
  }
}

export const streamNameNotValid = (name: string) =>
  new MimamoriError({
    code: 'catalog.nameNotValid',
    message: `${JSON.stringify(name.slice(0, catalogLimits.nameCharactersMax))} is no name of a stream.`,
    fix: 'Use 1 to 128 letters, digits, underscores, dots and hyphens.',
  });

export const streamReadOnly = (name: string) =>
  new MimamoriError({
    code: 'catalog.readOnly',
    message: `Stream ${name} is what devices send to the app; here it can only be read.`,
    fix: 'Publish over MQTT or HTTP to get a record into it, or create a stream of your own.',
  });

export const settingsDamaged = (directory: string) =>
  new MimamoriError({
    code: 'catalog.settingsDamaged',
    message: `The settings of the stream in ${directory} are damaged or missing, but there are records.`,
    fix: 'Restore the folder from a backup, or move it away to give up its records.',
  });

export const settingsFormatTooNew = (directory: string) =>
  new MimamoriError({
    code: 'catalog.formatTooNew',
    message: `The settings of the stream in ${directory} were written by a newer release.`,
    fix: 'Run that release, or a newer one.',
  });
