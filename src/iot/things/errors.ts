import { MimamoriError } from '../../kernel/errors.ts';

export const thingNameNotValid = () =>
  new MimamoriError({
    code: 'thing.nameNotValid',
    message: 'A thing name has 1 to 128 characters out of a-z, A-Z, 0-9, ":", "_" and "-".',
    fix: 'Choose another name; it becomes the MQTT client id and a level of every topic of the thing.',
  });

export const thingExists = (thingName: string) =>
  new MimamoriError({
    code: 'thing.exists',
    message: `There is a thing named ${thingName} already.`,
    fix: 'Choose another name, or delete the thing first; its secret cannot be shown again.',
  });
