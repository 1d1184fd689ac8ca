/** Access keys that clients of the DynamoDB and Kinesis endpoints sign with: one given directly, or those of a file. */
import { readFile } from 'node:fs/promises';
import { MimamoriError, messageOf } from '../kernel/errors.ts';

export interface CredentialSources {
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  /** In the format of `~/.aws/credentials`; every profile's key is good. */
  readonly file?: string;
}

/** Secrets by access key id; undefined when there is no source. Throws `credentials.notValid`. */
export async function readCredentials(sources: CredentialSources): Promise<ReadonlyMap<string, string> | undefined> {
  const { accessKeyId, secretAccessKey, file } = sources;
  if ((accessKeyId === undefined) !== (secretAccessKey === undefined)) {
    throw credentialsNotValid('An access key and its secret belong together', 'Give both, or neither.');
  }
  if (accessKeyId === '' || secretAccessKey === '') {
    throw credentialsNotValid('The access key or its secret is empty', 'Give both a value, or leave both out.');
  }
  if (file === undefined && accessKeyId === undefined) return undefined;
  const credentials = file === undefined ? new Map<string, string>() : await readCredentialsFile(file);
  if (accessKeyId !== undefined && secretAccessKey !== undefined) credentials.set(accessKeyId, secretAccessKey);
  return credentials;
}

async function readCredentialsFile(file: string): Promise<Map<string, string>> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw credentialsNotValid(`${file} cannot be read: ${messageOf(cause)}`, 'Correct the path or its permissions.');
  }
  const credentials = credentialsIn(text);
  if (credentials.size > 0) return credentials;
  throw credentialsNotValid(
    `${file} holds no access key`,
    'Write a profile as in ~/.aws/credentials: aws_access_key_id = … and aws_secret_access_key = … under [default].',
  );
}

/** Keys and secrets of all profiles. What else a profile may hold (a role, a region) is not for a server. */
export function credentialsIn(text: string): Map<string, string> {
  const credentials = new Map<string, string>();
  let profile: Record<string, string> = {};
  const endProfile = () => {
    const { aws_access_key_id: id, aws_secret_access_key: secret } = profile;
    if (id && secret) credentials.set(id, secret);
    profile = {};
  };
  for (const line of text.split(/\r?\n/)) {
    const [, name, value] = /^\s*(aws_access_key_id|aws_secret_access_key)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (/^\s*\[/.test(line)) endProfile();
    else if (name !== undefined) profile[name] = value;
  }
  endProfile();
  return credentials;
}

const credentialsNotValid = (what: string, fix: string) =>
  new MimamoriError({ code: 'credentials.notValid', message: `${what}.`, fix });
