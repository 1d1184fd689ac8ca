import type { Clock } from '../../kernel/clock.ts';
import type { Files } from '../../kernel/files.ts';
import type { Random } from '../../kernel/random.ts';
import { isMqttString } from '../mqtt/utf8.ts';
import { type Acl, parseAclFile } from './acl-file.ts';
import { inTurns, readConfigFile, type Turns } from './config-file.ts';
import { isSameEntry, type PasswordEntries, parsePasswordFile, type SlowHash } from './password-file.ts';
import { HashQueue, PasswordVerifier } from './password-verifier.ts';
import type { Access, Admission, AdmissionRefusal, ConnectAttempt, Identity, PublishVerdict } from './port.ts';
import { isReservedTopic } from './reserved-topics.ts';
import { Rights } from './rights.ts';

export interface FileAccessOptions {
  readonly files: Files;
  readonly clock: Clock;
  readonly random: Random;
  /** Without one, a user name counts for nothing: nobody has vouched for it. */
  readonly passwordFile?: string;
  /** Without one, everything but the reserved topics is allowed. */
  readonly aclFile?: string;
  /** Lets clients in that name no user. */
  readonly allowAnonymous: boolean;
  /** Mosquitto's `use_identity_as_username`: who shows a certificate is the user of its common name, by that alone. */
  readonly useIdentityAsUsername?: boolean;
  /** Called within a `reload` that succeeded, when the new rules are in force: ask `isStillAllowed` of who is connected. */
  readonly onChanged?: () => void;
  /** For tests. */
  readonly slowHash?: SlowHash;
}

/** What the files said when they were last read. */
interface Rules {
  readonly passwords: PasswordEntries | undefined;
  readonly verifier: PasswordVerifier | undefined;
  readonly acl: Acl | undefined;
  /** By the identity object, which lives as long as its session. */
  readonly rights: WeakMap<Identity, Rights>;
  /** Users whose password was changed or taken away by the reload that made these rules. */
  readonly revoked: ReadonlySet<string>;
}

const verdicts = {
  allowed: { allowed: true, ingest: false },
  refused: { allowed: false, ingest: false },
} as const satisfies Record<string, PublishVerdict>;

/** Who may enter and do what by Mosquitto's password and ACL files. The README lists where it is stricter. */
export class FileAccess implements Access {
  readonly checksDeliveries: boolean;
  readonly assignsClientIds = true;
  readonly #options: FileAccessOptions;
  readonly #queue = new HashQueue();
  #rules: Rules;
  #version = 1;
  #reloading: Promise<void> | undefined;
  #reloadsNext: Promise<void> | undefined;

  /** @throws `access.*`: with files that cannot be read or understood nothing starts (hostile A06). */
  static async open(options: FileAccessOptions): Promise<FileAccess> {
    const access = new FileAccess(options);
    access.#rules = await access.#read();
    return access;
  }

  private constructor(options: FileAccessOptions) {
    this.#options = options;
    this.checksDeliveries = options.aclFile !== undefined;
    this.#rules = nobody;
  }

  get version(): number {
    return this.#version;
  }

  /**
   * Reads both files again and, only if both are good, puts what they say in force, whole (hostile R08). One at a time;
   * called while one runs, it reads once more after that, so that the newest files count.
   * @throws `access.*`; then everything stays as it was. The caller must tell the operator.
   */
  reload(): Promise<void> {
    if (!this.#reloading) {
      this.#reloading = this.#reloadNow().finally(() => {
        this.#reloading = undefined;
      });
      return this.#reloading;
    }
    this.#reloadsNext ??= this.#reloading
      .catch(() => {}) // Whoever asked for that one is told.
      .then(() => {
        this.#reloadsNext = undefined;
        return this.reload();
      });
    return this.#reloadsNext;
  }

  async #reloadNow(): Promise<void> {
    this.#rules = await this.#read();
    this.#version++;
    this.#options.onChanged?.();
  }

  async #read(): Promise<Rules> {
    const { files, clock, random, passwordFile, aclFile, slowHash } = this.#options;
    const read = async <Content>(filePath: string, parse: (bytes: Uint8Array, filePath: string) => Turns<Content>) =>
      inTurns(clock, parse(await readConfigFile(files, filePath), filePath));
    const passwords = passwordFile === undefined ? undefined : await read(passwordFile, parsePasswordFile);
    const acl = aclFile === undefined ? undefined : await read(aclFile, parseAclFile);
    return {
      passwords,
      verifier: passwords && new PasswordVerifier({ entries: passwords, queue: this.#queue, clock, random, slowHash }),
      acl,
      rights: new WeakMap(),
      revoked: revokedBetween(this.#rules.passwords, passwords),
    };
  }

  authenticate({ clientId, certificate, username, password }: ConnectAttempt): Admission | Promise<Admission> {
    if (this.#options.useIdentityAsUsername && certificate) {
      const { commonName } = certificate;
      // As in Mosquitto, who shows a certificate without a name is not asked for a password instead.
      return commonName && isMqttString(commonName) ? admit(clientId, commonName) : refuse('badUserNameOrPassword');
    }
    if (username === undefined || !this.#rules.verifier)
      return this.#options.allowAnonymous ? admit(clientId, '') : refuse('notAuthorized');
    // '' is how an identity says that it has no user.
    if (username === '' || password === undefined) return refuse('badUserNameOrPassword');
    return this.#verify(clientId, username, password);
  }

  async #verify(clientId: string, username: string, password: Uint8Array): Promise<Admission> {
    const { passwords, verifier } = this.#rules;
    try {
      const verdict = (await verifier?.verify(username, password)) ?? 'wrong';
      if (verdict === 'busy') return refuse('serverBusy');
      // While it was hashed, the entry may have been replaced: what it vouches for is over (hostile A08).
      const isCurrent = isSameEntry(passwords?.get(username), this.#rules.passwords?.get(username));
      return verdict === 'right' && isCurrent ? admit(clientId, username) : refuse('badUserNameOrPassword');
    } catch {
      return refuse('serverBusy'); // The pool could not hash; to try again later is all a client can do about that.
    }
  }

  /**
   * For someone whose password was changed or taken away, the answer is no until the next reload. Ask it of those who
   * were let in before the rules changed: it cannot tell them from those who have since come with the new password.
   */
  isStillAllowed({ principal }: Identity): boolean {
    if (principal === '') return this.#options.allowAnonymous;
    if (this.#rules.revoked.has(principal)) return false;
    // Whoever was let in by a certificate is in no file; the TLS listener answers for that.
    return this.#rules.passwords?.has(principal) === true || this.#options.useIdentityAsUsername === true;
  }

  judgePublish(identity: Identity, topic: string): PublishVerdict {
    if (isReservedTopic(topic)) return verdicts.refused;
    return this.#rightsOf(identity)?.mayPublish(topic) === false ? verdicts.refused : verdicts.allowed;
  }

  maySubscribe(identity: Identity, topicFilter: string): boolean {
    return this.#rightsOf(identity)?.maySubscribe(topicFilter) !== false;
  }

  mayReceive(identity: Identity, topic: string): boolean {
    return this.#rightsOf(identity)?.mayReceive(topic) !== false;
  }

  /** Undefined = there is no ACL file, so there are no limits. */
  #rightsOf(identity: Identity): Rights | undefined {
    const { acl, rights } = this.#rules;
    if (!acl) return undefined;
    let own = rights.get(identity);
    if (!own) {
      const username = identity.principal === '' ? undefined : identity.principal;
      own = new Rights(acl, { clientId: identity.clientId, username });
      rights.set(identity, own);
    }
    return own;
  }
}

/** Before the files were read. */
const nobody: Rules = {
  passwords: new Map(),
  verifier: undefined,
  acl: undefined,
  rights: new WeakMap(),
  revoked: new Set(),
};

function revokedBetween(before: PasswordEntries | undefined, after: PasswordEntries | undefined): Set<string> {
  const revoked = new Set<string>();
  for (const [username, entry] of before ?? []) if (!isSameEntry(entry, after?.get(username))) revoked.add(username);
  return revoked;
}

function admit(clientId: string, principal: string): Admission {
  return { admitted: true, identity: { clientId, thingName: undefined, principal } };
}

function refuse(reason: AdmissionRefusal): Admission {
  return { admitted: false, reason };
}
