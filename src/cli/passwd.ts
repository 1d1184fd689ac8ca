import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import fs, { type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { Command } from 'commander';
import { accessLimits, FileAccess, passwordLine } from '../iot/access/index.ts';
import { systemClock } from '../kernel/clock.ts';
import { codeOf, MimamoriError, messageOf } from '../kernel/errors.ts';
import { systemFiles } from '../kernel/files.ts';
import { systemRandom } from '../kernel/random.ts';
import { type DataLock, lockDataDirectory } from '../local/data-lock.ts';
import { jsonOption } from './options.ts';

interface Options {
  readonly create?: true;
  readonly delete?: true;
  readonly batch?: true;
  readonly passwordStdin?: true;
  readonly json?: true;
}

type Change = 'added' | 'changed' | 'deleted';

/** Keeps the password file of `mimamori broker`, which Mosquitto reads as well. Flags are those of mosquitto_passwd. */
export function passwdCommand(): Command {
  return new Command('passwd')
    .description('Add a user to a password file, give one another password, or delete one.')
    .argument('<file>', 'the password file')
    .argument('<user>', 'its user name')
    .argument('[password]', 'with --batch')
    .option('-c, --create', 'begin a new file')
    .option('-D, --delete', 'delete the user')
    .option('-b, --batch', 'the password is the third argument, which others on this machine can see while it runs')
    .option('--password-stdin', 'read the password from standard input, one line')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Asks for the password if it is not given. A broker that runs reads the file again at SIGHUP.

Examples:
  mimamori passwd -c passwd alice
  mimamori passwd passwd bob --password-stdin < secret
  mimamori passwd -D passwd alice`,
    )
    .action(passwd);
}

async function passwd(filePath: string, username: string, argument: string | undefined, options: Options) {
  checkOptions(argument, options);
  // What is wrong with the file is told before anybody has typed a password.
  if (options.create) await mustNotExist(filePath);
  else await readUsers(filePath);
  const line = options.delete ? undefined : await lineOf(username, argument, options);
  const change =
    options.create && line !== undefined
      ? await createFile(filePath, line)
      : await changeFile(filePath, { username, line });
  if (options.json) console.log(JSON.stringify({ event: change, user: username, file: filePath }));
  else console.log(`${username} is ${change}. A broker that runs reads ${filePath} again at SIGHUP.`);
}

/** What does not fit together. */
function checkOptions(argument: string | undefined, options: Options): void {
  const { create, batch, passwordStdin } = options;
  if (options.delete && (create || batch || passwordStdin))
    throw optionsNotValid('--delete needs no password and no new file.', 'Leave out the other options.');
  if (batch && passwordStdin) throw optionsNotValid('The password is given in two ways.', 'Choose one.');
  if (batch && argument === undefined)
    throw optionsNotValid('With --batch the password is the third argument.', 'Add it, or leave out --batch.');
  if (!batch && argument !== undefined)
    throw optionsNotValid(
      'A password on the command line can be seen by others on this machine.',
      'Leave it out to be asked, use --password-stdin, or add --batch if it may be seen.',
    );
}

// --- The password ---------------------------------------------------------------------------------------------------

async function lineOf(username: string, argument: string | undefined, options: Options): Promise<string> {
  // A name that cannot be is told before anybody has typed a password for it.
  await passwordLine(username, Buffer.from('x'), systemRandom);
  return passwordLine(username, await passwordFrom(argument, options), systemRandom);
}

async function passwordFrom(argument: string | undefined, options: Options): Promise<Buffer> {
  if (argument !== undefined) return Buffer.from(argument);
  if (options.passwordStdin) return readPassword();
  return Buffer.from(await askForPassword());
}

/** All of standard input without the end of its line. */
async function readPassword(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > accessLimits.passwordBytesMax + 2) break; // It is refused as too long.
  }
  const bytes = Buffer.concat(chunks);
  const end = bytes.at(-1) !== 0x0a ? bytes.length : bytes.at(-2) === 0x0d ? bytes.length - 2 : bytes.length - 1;
  const password = bytes.subarray(0, end);
  // A second line is a mistake, and nobody could type it.
  if (password.includes(0x0a))
    throw optionsNotValid('Standard input has more than one line.', 'Give the password only.');
  return password;
}

/** Twice, without showing it. */
async function askForPassword(): Promise<string> {
  if (!process.stdin.isTTY) throw noTerminal();
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true, historySize: 0 });
  const interrupted = new Promise<never>((_, reject) => lines.once('close', () => reject(notAsked())));
  const ask = async (prompt: string) => {
    process.stderr.write(prompt);
    const answer = await Promise.race([lines.question(''), interrupted]);
    process.stderr.write('\n');
    return answer;
  };
  try {
    const password = await ask('Password: ');
    if ((await ask('The same again: ')) !== password) throw passwordsDiffer();
    return password;
  } finally {
    interrupted.catch(() => {}); // Closed by us, it is nothing to tell.
    lines.close();
  }
}

// --- The file -------------------------------------------------------------------------------------------------------

interface UserFile {
  /** The file itself, where the path is a link to it. */
  readonly realPath: string;
  /** As they stand there, comments too. */
  readonly lines: readonly string[];
}

async function createFile(filePath: string, line: string): Promise<Change> {
  await putFile(filePath, [line], newPath => fs.link(newPath, filePath)); // Fails if there is one by now.
  return 'added';
}

/** @param edit.line  undefined = the user is deleted */
async function changeFile(filePath: string, edit: { username: string; line: string | undefined }): Promise<Change> {
  const { username, line } = edit;
  const lock = await lockFile(filePath);
  try {
    const { realPath, lines } = await readUsers(filePath);
    const at = lines.findIndex(each => usernameOf(each) === username);
    if (line === undefined && at === -1) throw userNotFound(filePath, username);
    const added = line === undefined ? lines.toSpliced(at, 1) : at === -1 ? [...lines, line] : lines.with(at, line);
    await putFile(realPath, added, newPath => fs.rename(newPath, realPath));
    return line === undefined ? 'deleted' : at === -1 ? 'added' : 'changed';
  } finally {
    await lock.release();
  }
}

/** Of two who change it at once, one would undo what the other did. */
async function lockFile(filePath: string): Promise<DataLock> {
  return lockDataDirectory(filePath).catch(cause => {
    throw codeOf(cause) === 'data.inUse' ? fileInUse(filePath, cause) : fileNotWritable(filePath, cause);
  });
}

/** Throws `access.*` for a file that no broker would start with. */
async function readUsers(filePath: string): Promise<UserFile> {
  const realPath = await fs.realpath(filePath).catch(cause => {
    throw codeOf(cause) === 'ENOENT' ? fileNotFound(filePath) : fileNotWritable(filePath, cause);
  });
  await checkUsers(realPath);
  const text = (await fs.readFile(realPath, 'utf8')).replace(/^\ufeff/, '');
  return { realPath, lines: text.split('\n').slice(0, text.endsWith('\n') || text === '' ? -1 : undefined) };
}

/** As the broker reads it. */
async function checkUsers(passwordFile: string): Promise<void> {
  const common = { files: systemFiles, clock: systemClock, random: systemRandom, allowAnonymous: false };
  await FileAccess.open({ ...common, passwordFile });
}

/** Of a line that the broker reads as a user's: those of C's `isspace` around a name are no part of it. */
function usernameOf(line: string): string | undefined {
  return line.startsWith('#') ? undefined : /^[ \t\v\f\r]*(.*?)[ \t\v\f\r]*:/.exec(line)?.[1];
}

async function mustNotExist(filePath: string): Promise<void> {
  const isThere = await fs.lstat(filePath).then(
    () => true,
    error => codeOf(error) !== 'ENOENT',
  );
  if (isThere) throw fileExists(filePath);
}

/**
 * The file has its old content or its new one, whole, whenever the process or the power ends. Nobody but its owner may
 * read it.
 * @param giveName  makes the new file the one of that name
 */
async function putFile(
  filePath: string,
  lines: readonly string[],
  giveName: (newPath: string) => Promise<void>,
): Promise<void> {
  const folder = path.dirname(filePath);
  const newPath = path.join(folder, `.${path.basename(filePath)}.${randomUUID()}`);
  try {
    const owner = await fs.stat(filePath).catch(() => undefined); // There is none yet.
    const handle = await fs.open(newPath, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    await fill(handle, lines.map(line => `${line}\n`).join(''), owner).finally(() => handle.close());
    await checkUsers(newPath); // What no broker would read must not take the place of what it reads.
    await giveName(newPath);
    await systemFiles.syncDirectory(folder);
  } catch (cause) {
    if (codeOf(cause) === 'EEXIST') throw fileExists(filePath);
    throw cause instanceof MimamoriError ? cause : fileNotWritable(filePath, cause);
  } finally {
    await fs.rm(newPath, { force: true }).catch(() => {}); // Renamed, or in the way of nobody.
  }
}

/** @param owner  of the file that is replaced: a broker that is not root must find it readable still */
async function fill(handle: FileHandle, text: string, owner: { uid: number; gid: number } | undefined): Promise<void> {
  await handle.chmod(0o600); // Whatever the umask says.
  if (owner && (owner.uid !== process.getuid?.() || owner.gid !== process.getgid?.()))
    await handle.chown(owner.uid, owner.gid);
  await handle.writeFile(text);
  await handle.sync();
}

// --- Errors ---------------------------------------------------------------------------------------------------------

const optionsNotValid = (message: string, fix: string) =>
  new MimamoriError({ code: 'passwd.optionsNotValid', message, fix });

const noTerminal = () =>
  new MimamoriError({
    code: 'passwd.noTerminal',
    message: 'There is no terminal to ask for the password at.',
    fix: 'Give it to standard input with --password-stdin.',
  });

const notAsked = () =>
  new MimamoriError({
    code: 'passwd.notEntered',
    message: 'No password was entered, and nothing was changed.',
    fix: 'Call it again and enter the password twice.',
  });

const passwordsDiffer = () =>
  new MimamoriError({
    code: 'passwd.passwordsDiffer',
    message: 'The two passwords are not the same, and nothing was changed.',
    fix: 'Call it again and enter the same password twice.',
  });

const fileInUse = (filePath: string, cause: unknown) =>
  new MimamoriError({
    code: 'passwd.fileInUse',
    message: `Another process is changing ${filePath}, and nothing was changed.`,
    fix: 'Call it again.',
    retryable: true,
    cause,
  });

const userNotFound = (filePath: string, username: string) =>
  new MimamoriError({
    code: 'passwd.userNotFound',
    message: `There is no user ${username} in ${filePath}.`,
    fix: 'Check the spelling; upper and lower case are different names.',
  });

const fileNotFound = (filePath: string) =>
  new MimamoriError({
    code: 'passwd.fileNotFound',
    message: `There is no ${filePath}.`,
    fix: 'Check the path, or add --create to begin a new file.',
  });

const fileExists = (filePath: string) =>
  new MimamoriError({
    code: 'passwd.fileExists',
    message: `${filePath} is there already; --create begins a new file.`,
    fix: 'Leave out --create to add a user to it, or remove it first.',
  });

const fileNotWritable = (filePath: string, cause: unknown) =>
  new MimamoriError({
    code: 'passwd.fileNotWritable',
    message: `${filePath} cannot be replaced: ${messageOf(cause)}`,
    fix: 'Check who may write to its folder, who owns it, and that the disk has room. The old file is as it was.',
    cause,
  });
