import { covers, matches } from '../mqtt/topics.ts';
import { type Acl, type AclPattern, type AclRule, type AclRules, grants, noRules } from './acl-file.ts';
import { overlaps } from './overlaps.ts';

/** What an ACL file means for one client: its user's rules and the patterns with its own names in them. */
export class Rights {
  readonly #rules: AclRules;
  /** Patterns of this client; mostly none or a few. */
  readonly #own: readonly AclRule[];

  /** `username` undefined: the client has none, so the rules of anonymous clients are its. */
  constructor(acl: Acl, client: { readonly clientId: string; readonly username: string | undefined }) {
    this.#rules = (client.username === undefined ? acl.anonymous : acl.users.get(client.username)) ?? noRules;
    this.#own = acl.patterns.flatMap(pattern => fill(pattern, client) ?? []);
  }

  mayPublish(topic: string): boolean {
    return this.#grants(grants.write, topic);
  }

  mayReceive(topic: string): boolean {
    return this.#grants(grants.read, topic);
  }

  /**
   * Whether a message could ever come of it: deliveries are checked one by one, so a filter may be wider than what is
   * readable, as in Mosquitto, but one that reaches nothing readable is refused (hostile A03).
   */
  maySubscribe(topicFilter: string): boolean {
    if (!/[+#]/.test(topicFilter)) return this.mayReceive(topicFilter);
    const { exact, wildcard } = this.#rules;
    const denies = (rule: AclRule) => rule.bits & grants.deny && covers(rule.topicFilter, topicFilter);
    if (wildcard.some(denies) || this.#own.some(denies)) return false;
    const reaches = (rule: AclRule) => rule.bits & grants.read && overlaps(rule.topicFilter, topicFilter);
    if (wildcard.some(reaches) || this.#own.some(reaches)) return true;
    for (const [topic, bits] of exact) {
      if ((bits & (grants.read | grants.deny)) === grants.read && matches(topicFilter, topic)) return true;
    }
    return false;
  }

  #grants(bit: number, topic: string): boolean {
    let bits = this.#rules.exact.get(topic) ?? 0;
    for (const rule of this.#rules.wildcard) if (matches(rule.topicFilter, topic)) bits |= rule.bits;
    for (const rule of this.#own) if (matches(rule.topicFilter, topic)) bits |= rule.bits;
    return (bits & (bit | grants.deny)) === bit;
  }
}

/**
 * The pattern with the client's names in it, level by level: a name never becomes part of the pattern (hostile A01).
 * Undefined when it says nothing about this client. A name that could mean more than itself (with + # /) is granted
 * nothing by patterns, and denied whatever a pattern that holds it could deny.
 */
function fill(
  { levels, bits }: AclPattern,
  client: { readonly clientId: string; readonly username: string | undefined },
): AclRule | undefined {
  const denies = (bits & grants.deny) !== 0;
  if (!denies && (hasWildcard(client.clientId) || hasWildcard(client.username ?? ''))) return undefined;
  const filled: string[] = [];
  for (const level of levels) {
    if (typeof level === 'string') {
      filled.push(level);
      continue;
    }
    const name = client[level.name];
    if (name === undefined) return undefined; // As in Mosquitto, %u is not about clients without a user name.
    if (hasWildcard(name) || name.includes('/')) {
      if (!denies) return undefined;
      filled.push('#');
      break;
    }
    const text = level.before + name + level.after;
    // Only the file itself gives rights on $ topics, not a client that calls itself $SYS (hostile A04).
    if (!denies && filled.length === 0 && level.before === '' && text.startsWith('$')) return undefined;
    filled.push(text);
  }
  return { topicFilter: filled.join('/'), bits };
}

function hasWildcard(text: string): boolean {
  return text.includes('+') || text.includes('#');
}
