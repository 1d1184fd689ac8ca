import { isTopicFilter } from '../mqtt/topics.ts';
import { linesOf, type Turns, trimBlanks } from './config-file.ts';
import { aclFileNotValid } from './errors.ts';
import { accessLimits } from './limits.ts';

/**
 * ACL files as Mosquitto has them: `topic`, `user` and `pattern` lines. This reads them; `rights.ts` says what follows
 * for one client.
 */

/** Bits of what a rule does with the topics it matches. `deny` wins over both others, wherever it stands. */
export const grants = { read: 1, write: 2, deny: 4 } as const;

export interface AclRule {
  readonly topicFilter: string;
  /** Of `grants`. */
  readonly bits: number;
}

/** A rule whose filter has the client's own names in it. */
export interface AclPattern {
  readonly levels: readonly PatternLevel[];
  /** Of `grants`. */
  readonly bits: number;
}

/** One level: text, or `before` and `after` around a name. */
export type PatternLevel =
  | string
  | { readonly before: string; readonly name: 'username' | 'clientId'; readonly after: string };

/** The rules of one user, or of everybody without one. */
export interface AclRules {
  /** Bits by topic: what has no wildcard is looked up and not searched. */
  readonly exact: ReadonlyMap<string, number>;
  readonly wildcard: readonly AclRule[];
}

export interface Acl {
  /** For clients without a user name. */
  readonly anonymous: AclRules;
  readonly users: ReadonlyMap<string, AclRules>;
  /** For all clients. */
  readonly patterns: readonly AclPattern[];
}

export const noRules: AclRules = { exact: new Map(), wildcard: [] };

/** @throws `access.aclFileNotValid` with the line's number. An empty file gives nobody any right, as in Mosquitto. */
export function* parseAclFile(bytes: Uint8Array, filePath: string): Turns<Acl> {
  const acl = new AclBuilder();
  for (const { lineNumber, text } of linesOf(bytes)) {
    if (lineNumber % accessLimits.linesPerTurn === 0) yield;
    const problem = acl.add(text);
    if (problem !== undefined) throw aclFileNotValid(filePath, lineNumber, problem);
  }
  return acl;
}

const bitsOf: ReadonlyMap<string, number> = new Map([
  ['read', grants.read],
  ['write', grants.write],
  ['readwrite', grants.read | grants.write],
  ['deny', grants.deny],
]);

class RulesBuilder implements AclRules {
  readonly exact = new Map<string, number>();
  readonly wildcard: AclRule[] = [];

  add(rule: AclRule): string | undefined {
    if (/[+#]/.test(rule.topicFilter)) {
      if (this.wildcard.length === accessLimits.aclWildcardRulesPerUserMax)
        return `there are more than ${accessLimits.aclWildcardRulesPerUserMax} rules with a wildcard for one user.`;
      this.wildcard.push(rule);
    } else {
      this.exact.set(rule.topicFilter, (this.exact.get(rule.topicFilter) ?? 0) | rule.bits);
    }
    const count = this.exact.size + this.wildcard.length;
    if (count > accessLimits.aclRulesPerUserMax)
      return `there are more than ${accessLimits.aclRulesPerUserMax} rules for one user.`;
    return undefined;
  }
}

/** Takes the lines in their order. Each step answers with what is wrong with its line, if anything. */
class AclBuilder implements Acl {
  readonly anonymous = new RulesBuilder();
  readonly users = new Map<string, RulesBuilder>();
  readonly patterns: AclPattern[] = [];
  #current = this.anonymous;
  #rules = 0;

  add(line: string | undefined): string | undefined {
    if (line === undefined) return `it is not UTF-8 text of at most ${accessLimits.lineBytesMax} bytes.`;
    if (line === '' || line.startsWith('#')) return undefined;
    const [keyword, rest] = firstWord(line);
    if (keyword === 'user') return this.#addUser(rest);
    if (keyword === 'topic' || keyword === 'pattern') return this.#addRule(keyword, rest);
    return 'it begins with neither topic, user, pattern nor #.';
  }

  #addUser(username: string): string | undefined {
    if (username === '') return 'there is no user name.';
    let rules = this.users.get(username);
    if (!rules) {
      if (this.users.size === accessLimits.usersMax) return `there are more than ${accessLimits.usersMax} users.`;
      rules = new RulesBuilder();
      this.users.set(username, rules);
    }
    this.#current = rules;
    return undefined;
  }

  #addRule(keyword: 'topic' | 'pattern', text: string): string | undefined {
    const [first, rest] = firstWord(text);
    // With one word only, it is the topic, even if it reads like an access: "topic read" is about the topic "read".
    const bits = rest === '' ? grants.read | grants.write : bitsOf.get(first);
    const topicFilter = rest === '' ? first : rest;
    if (topicFilter === '') return 'there is no topic.';
    if (bits === undefined)
      return 'the access is none of read, write, readwrite and deny; a topic with a space needs one.';
    if (!isTopicFilter(topicFilter))
      return 'this is not a topic filter; + and # stand alone in their level, # in the last.';
    // A message has its own topic, never one of a share, so the line would do nothing (hostile A02).
    if (topicFilter.startsWith('$share/')) return 'rules are about topics: write the filter without its $share/name/.';
    if (this.#rules++ === accessLimits.aclRulesMax) return `there are more than ${accessLimits.aclRulesMax} rules.`;
    if (keyword === 'topic') return this.#current.add({ topicFilter, bits });
    return this.#addPattern(topicFilter, bits);
  }

  #addPattern(topicFilter: string, bits: number): string | undefined {
    const levels = topicFilter.split('/').map(parseLevel);
    const isReadable = levels.every(level => level !== undefined);
    // "%u-%c" would be the same text for "a" with "b-c" and for "a-b" with "c".
    if (!isReadable) return 'a level has at most one of %u and %c.';
    if (this.patterns.length === accessLimits.aclPatternsMax)
      return `there are more than ${accessLimits.aclPatternsMax} patterns.`;
    this.patterns.push({ levels, bits });
    return undefined;
  }
}

/** Undefined when there are two names in it. */
function parseLevel(level: string): PatternLevel | undefined {
  const [before, after, ...more] = level.split(/%[uc]/);
  if (after === undefined) return level;
  if (more.length > 0) return undefined;
  return { before, name: level[before.length + 1] === 'u' ? 'username' : 'clientId', after };
}

/** The first word and what follows it, parted by spaces as in Mosquitto: a tab is part of a word. */
function firstWord(text: string): [string, string] {
  const trimmed = trimBlanks(text);
  const space = trimmed.indexOf(' ');
  return space === -1 ? [trimmed, ''] : [trimmed.slice(0, space), trimBlanks(trimmed.slice(space + 1))];
}
