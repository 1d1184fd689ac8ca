import { MimamoriError, messageOf } from '../../kernel/errors.ts';

export const credentialsRequired = (host: string) =>
  new MimamoriError({
    code: 'kinesis.credentialsRequired',
    message: `${host} can be reached by others, and without credentials they could read and delete every stream.`,
    fix: 'Give credentials (--access-key and --secret-key, or --credentials FILE), or listen at 127.0.0.1.',
  });

export const portInUse = (port: number, cause: unknown) =>
  new MimamoriError({
    code: 'kinesis.portInUse',
    message: `The Kinesis port ${port} cannot be opened.`,
    fix: 'Stop whatever has it (kinesalite uses 4567 too), choose another port, or 0 for a free one.',
    cause,
  });

export const hostNotUsable = (host: string, cause: unknown) =>
  new MimamoriError({
    code: 'kinesis.hostNotUsable',
    message: `${host} is not an address to listen at: ${messageOf(cause)}`,
    fix: 'Give --host an address of this machine: 127.0.0.1 for itself only, 0.0.0.0 for all of its networks.',
    cause,
  });
