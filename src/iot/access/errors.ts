import { MimamoriError, messageOf } from '../../kernel/errors.ts';
import { accessLimits } from './limits.ts';

/** What whoever runs the broker may meet. A client is answered in the words of MQTT instead. No message holds a secret. */

export const fileNotReadable = (filePath: string, cause: unknown) =>
  new MimamoriError({
    code: 'access.fileNotReadable',
    message: `${filePath} cannot be read: ${messageOf(cause)}`,
    fix: 'Check the path and that the user who runs the broker may read it. Rules that are in force already stay in force.',
    cause,
  });

export const fileTooLarge = (filePath: string, bytes: number) =>
  new MimamoriError({
    code: 'access.fileTooLarge',
    message: `${filePath} has ${bytes} bytes; at most ${accessLimits.fileBytesMax} are read.`,
    fix: 'Check that this is the file you meant. Rules that are in force already stay in force.',
  });

/** `problem` is a sentence of ours: it never quotes the line, which holds a hash or even a password. */
export const passwordFileNotValid = (filePath: string, lineNumber: number, problem: string) =>
  new MimamoriError({
    code: 'access.passwordFileNotValid',
    message: `${filePath}, line ${lineNumber}: ${problem}`,
    fix: 'Correct the line, or write the entry anew with `mosquitto_passwd`. Rules that are in force already stay in force.',
  });

export const aclFileNotValid = (filePath: string, lineNumber: number, problem: string) =>
  new MimamoriError({
    code: 'access.aclFileNotValid',
    message: `${filePath}, line ${lineNumber}: ${problem}`,
    fix: 'Correct the line. Rules that are in force already stay in force.',
  });

export const usernameNotValid = () =>
  new MimamoriError({
    code: 'access.usernameNotValid',
    message: `A user name has 1 to ${accessLimits.usernameBytesMax} bytes, no ":" and no control character, and does not begin with "#" or begin or end with a space.`,
    fix: 'Choose another name: it must be found again in the line of the password file it is written to.',
  });

export const passwordNotValid = () =>
  new MimamoriError({
    code: 'access.passwordNotValid',
    message: `A password has 1 to ${accessLimits.passwordBytesMax} bytes.`,
    fix: 'Choose another password; a longer one is refused when a client connects with it.',
  });
