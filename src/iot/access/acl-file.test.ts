import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { bites } from '../mqtt/gateway-world.ts';
import { isTopicFilter, matches } from '../mqtt/topics.ts';
import { parseAclFile } from './acl-file.ts';
import { atOnce } from './config-file.ts';
import { accessLimits } from './limits.ts';
import { Rights } from './rights.ts';

const parse = (text: string) => atOnce(parseAclFile(Buffer.from(text), 'acl'));

function rightsBy(text: string, username?: string, clientId = 'client'): Rights {
  return new Rights(parse(text), { clientId, username });
}

/** What is allowed of `topic`: r, w, rw or nothing. */
function allowed(rights: Rights, topic: string): string {
  return (rights.mayReceive(topic) ? 'r' : '') + (rights.mayPublish(topic) ? 'w' : '');
}

describe('an ACL file', () => {
  it('gives rights to clients without a user name, to users, and to all by patterns', () => {
    const text = `
# comment
topic read news/#
topic open

user alice
  topic  readwrite   home/+/alice
topic write log
user bob b
topic home/#
user alice
topic read extra
pattern read inbox/%u/#
pattern write by-id/dev-%c/up
`;
    const expected: [string | undefined, string, string][] = [
      [undefined, 'news/x', 'r'],
      [undefined, 'open', 'rw'],
      [undefined, 'home/1/alice', ''],
      [undefined, 'inbox/alice/x', ''],
      [undefined, 'inbox//x', ''],
      [undefined, 'by-id/dev-client/up', 'w'],
      ['alice', 'news/x', ''], // The first topics are those of clients without a user name only, as in Mosquitto.
      ['alice', 'open', ''],
      ['alice', 'home/1/alice', 'rw'],
      ['alice', 'log', 'w'],
      ['alice', 'extra', 'r'],
      ['alice', 'inbox/alice', 'r'],
      ['alice', 'inbox/bob b/x', ''],
      ['alice', 'by-id/dev-other/up', ''],
      ['bob b', 'home/x/y', 'rw'],
      ['bob b', 'inbox/bob b/x', 'r'],
      ['carol', 'home/x', ''],
      ['carol', 'inbox/carol/x', 'r'],
    ];
    for (const [username, topic, rights] of expected)
      assert.equal(allowed(rightsBy(text, username), topic), rights, `${username} on ${topic}`);
  });

  it('reads words, spaces, tabs and line ends as Mosquitto does', () => {
    const readings: [string, string, string][] = [
      ['topic read', 'read', 'rw'],
      ['topic readwrite a b  c ', 'a b  c', 'rw'],
      ['topic\tread\ta', 'a', 'refused'],
      ['topic  read   a\t', 'a', 'r'],
      ['  topic write a\r', 'a', 'w'],
      ['topic a b', 'a b', 'refused'],
      ['topic Read a', 'a', 'refused'],
      ['topic read é/😀', 'é/😀', 'r'],
      ['topic read %u', '%u', 'r'], // Only patterns have names in them.
      ['pattern read %%u', '%alice', 'r'],
      ['pattern read plain', 'plain', 'r'],
    ];
    for (const [line, topic, rights] of readings) {
      if (rights === 'refused') assert.throws(() => parse(line), { code: 'access.aclFileNotValid' }, line);
      else assert.equal(allowed(rightsBy(`user alice\n${line}\n`, 'alice'), topic), rights, line);
    }
    assert.equal(allowed(rightsBy('\ufefftopic read a'), 'a'), 'r');
  });

  it('gives nobody anything when it is empty (hostile A06)', async () => {
    const promise = async () => {
      for (const text of ['', '\n\n', '# topic #\n', 'user alice\n']) {
        for (const username of [undefined, 'alice']) {
          const rights = rightsBy(text, username);
          assert.equal(allowed(rights, 'a'), '');
          for (const filter of ['#', 'a', '+', '$SYS/#']) assert(!rights.maySubscribe(filter));
        }
      }
    };
    await promise();
    await bites(Rights.prototype, 'mayPublish', { value: () => true, writable: true }, promise);
    await bites(Rights.prototype, 'maySubscribe', { value: () => true, writable: true }, promise);
  });

  it('refuses a line that it cannot read, with its number (hostile A02, A06)', () => {
    const notValid = [
      'topic',
      'topic ',
      'pattern',
      'user',
      'user   ',
      'topics a',
      'Topic a',
      ' # comment', // As in Mosquitto: a comment begins its line.
      'allow a',
      'topic read a/#/b',
      'topic read a+',
      'topic read a/b#',
      'topic read a # comment',
      'topic deny building/*/#/x',
      'topic read $share/group/a',
      'topic deny $share/group/#',
      'topic none a',
      `topic read ${'x'.repeat(1025)}`,
      `topic read ${'/'.repeat(200)}`,
      `topic read ${' '.repeat(5_000)}a`,
      'topic read a\0',
      'pattern read %u%c',
      'pattern read x/%u-%c',
      'pattern read %c/a%u-%u',
      'pattern read %u+/a',
    ];
    for (const line of notValid) {
      const expected = { code: 'access.aclFileNotValid', message: /^acl, line 3: / };
      assert.throws(() => parse(`user alice\ntopic a\n${line}\ntopic b`), expected, line);
    }
    const notText = Buffer.concat([Buffer.from('topic a\ntopic '), Buffer.of(0xff)]);
    assert.throws(() => atOnce(parseAclFile(notText, 'acl')), { message: /line 2/ });
  });

  it('bounds what one verdict costs', () => {
    const lines = (count: number, line: (n: number) => string) => Array.from({ length: count }, (_, n) => line(n));
    const bounds: [number, (n: number) => string][] = [
      [accessLimits.aclWildcardRulesPerUserMax, n => `topic read a${n}/+`],
      [accessLimits.aclRulesPerUserMax, n => `topic read a${n}`],
      [accessLimits.aclPatternsMax, n => `pattern read a${n}/%u`],
      [accessLimits.aclRulesMax, n => `${n % 1_000 === 0 ? `user u${n}\n` : ''}topic read a${n}`],
    ];
    for (const [max, line] of bounds) {
      parse(lines(max, line).join('\n'));
      assert.throws(() => parse(lines(max + 1, line).join('\n')), { code: 'access.aclFileNotValid' });
    }
  });
});

describe('the rights by an ACL file', () => {
  it('end where a deny begins, wherever it stands', () => {
    for (const deny of ['topic deny a/secret/#', 'pattern deny a/secret/#', 'pattern deny a/%u/#']) {
      for (const grant of ['topic a/#', 'pattern readwrite a/#']) {
        for (const lines of [
          [deny, grant],
          [grant, deny],
        ]) {
          const rights = rightsBy(['user secret', ...lines].join('\n'), 'secret');
          assert.equal(allowed(rights, 'a/open'), 'rw');
          assert.equal(allowed(rights, 'a/secret/x'), '', lines.join(', '));
          assert.equal(allowed(rights, 'a/secret'), '');
          assert(rights.maySubscribe('a/#') && rights.maySubscribe('a/+'));
          assert(!rights.maySubscribe('a/secret/#') && !rights.maySubscribe('a/secret'));
        }
      }
    }
    const exact = rightsBy('topic a\ntopic deny a\ntopic read b\ntopic write b');
    assert.deepEqual([allowed(exact, 'a'), allowed(exact, 'b')], ['', 'rw']);
  });

  const names = ['+', '#', 'a+', '#b', 'one/two', '/', 'x/#', '+/+', 'one/../two'];
  const patterns = ['dt/%u/x', 'dt/%c/x', '%u/#', '%c', 'dt/pre-%c/#'];
  const topics = ['dt/one/x', 'dt/two/x', 'dt/one/two/x', 'dt/x', 'a/b', 'one/two', '/', 'x', 'dt/pre-one/x', 'x/y'];
  /** The promise of A01, of whoever makes the rights. */
  const aNameIsNoPattern = (make: (pattern: string, client: { clientId: string; username: string }) => Rights) => {
    for (const name of names) {
      for (const pattern of patterns) {
        for (const client of [
          { clientId: name, username: name },
          pattern.includes('%u') ? { clientId: 'c', username: name } : { clientId: name, username: 'u' },
        ]) {
          const rights = make(pattern, client);
          for (const topic of [...topics, name, `dt/${name}/x`, `${name}/x`])
            assert.equal(allowed(rights, topic), '', `${name} in ${pattern} on ${topic}`);
          assert(!rights.maySubscribe('#') && !rights.maySubscribe(`dt/${name}/x`));
        }
      }
    }
  };

  it('are not widened by a name that looks like a pattern (hostile A01)', () => {
    const make = (pattern: string, client: { clientId: string; username: string }) =>
      new Rights(parse(`pattern ${pattern}`), client);
    aNameIsNoPattern(make);
    // With the name put into the text instead, as a quick hand would do it.
    assert.throws(
      () =>
        aNameIsNoPattern((pattern, { clientId, username }) => {
          const filter = pattern.replaceAll('%u', username).replaceAll('%c', clientId);
          return rightsBy(isTopicFilter(filter) ? `topic ${filter}` : '');
        }),
      assert.AssertionError,
    );
  });

  it('take a name for a name, whatever else it looks like (hostile A01, W10)', () => {
    const text = 'pattern dt/%u/%c\npattern pre-%c-post';
    for (const name of [
      '%u',
      '%c',
      '*',
      '?',
      '$',
      '$\x7biot:ClientId}',
      '..',
      ' ',
      '__proto__',
      '$&',
      '$1',
      'é',
      '\n',
    ]) {
      const rights = rightsBy(text, name, name);
      assert.equal(allowed(rights, `dt/${name}/${name}`), 'rw', name);
      assert.equal(allowed(rights, `pre-${name}-post`), 'rw');
      for (const other of ['dt/one/two', 'dt/%u/x', `dt/${name}/x`, `dt/e\u0301/${name}`])
        assert.equal(allowed(rights, other), '', `${name} on ${other}`);
    }
    // A "/" in the client id is no hindrance where only the user name is filled in.
    assert.equal(allowed(rightsBy('pattern dt/%u', 'alice', 'a/b'), 'dt/alice'), 'rw');
  });

  it('are not regained by a name that escapes a deny (hostile A01)', () => {
    for (const name of names) {
      const rights = rightsBy(`user ${name}\ntopic #\npattern deny dt/%u/x\npattern deny id/%c`, name, name);
      assert.equal(allowed(rights, 'other'), 'rw');
      for (const topic of [`dt/${name}/x`, 'dt/one/x', 'dt/one/two/x', `id/${name}`])
        assert.equal(allowed(rights, topic), '', `${name} on ${topic}`);
    }
  });

  it('reach no $ topic by a wildcard or by a name (hostile A04)', () => {
    const dollars = ['$SYS/x', '$SYS', '$aws/events/x', '$foo'];
    for (const [text, username, clientId] of [
      ['user alice\ntopic #\ntopic +/x\ntopic +', 'alice', 'c'],
      ['pattern #\npattern +/x', 'alice', 'c'],
      ['pattern %u/#\npattern %c/#\npattern %c\npattern %u/x', '$SYS', '$foo'],
      ['pattern %u%/#\npattern %c', '$aws', '$aws'],
    ] as const) {
      const rights = rightsBy(text, username, clientId);
      for (const topic of dollars) {
        assert.equal(allowed(rights, topic), '', `${topic} by ${text}`);
        assert(!rights.maySubscribe(topic) && !rights.maySubscribe(`${topic}/#`));
      }
    }
    const named = rightsBy('topic read $SYS/#');
    assert.equal(allowed(named, '$SYS/x'), 'r');
    assert(named.maySubscribe('$SYS/+/x') && !named.maySubscribe('#') && !named.maySubscribe('+/x'));
  });

  it('let a filter through only when something readable could come of it, and then each message (hostile A03)', () => {
    const level = fc.constantFrom('a', 'b', '$c', '');
    const filterLevel = fc.oneof(level, fc.constant('+'));
    const anyFilter = fc
      .tuple(fc.array(filterLevel, { minLength: 1, maxLength: 3 }), fc.boolean())
      .map(([levels, rest]) => (rest ? [...levels, '#'] : levels).join('/'))
      .filter(isTopicFilter);
    const anyTopic = fc
      .array(level, { minLength: 1, maxLength: 4 })
      .map(levels => levels.join('/'))
      .filter(topic => topic !== '');
    const anyRule = fc.tuple(fc.constantFrom('read', 'write', 'readwrite', 'deny'), anyFilter);
    let [granted, refused] = [0, 0];
    fc.assert(
      fc.property(fc.array(anyRule, { maxLength: 6 }), anyFilter, fc.array(anyTopic), (rules, filter, topics) => {
        const rights = rightsBy(rules.map(([access, topic]) => `topic ${access} ${topic}`).join('\n'));
        const isReadable = (topic: string) =>
          rules.some(([access, rule]) => access.startsWith('read') && matches(rule, topic)) &&
          !rules.some(([access, rule]) => access === 'deny' && matches(rule, topic));
        for (const topic of topics) assert.equal(rights.mayReceive(topic), isReadable(topic), topic);
        if (rights.maySubscribe(filter)) granted++;
        else refused++;
        for (const topic of topics) {
          if (matches(filter, topic) && isReadable(topic)) assert(rights.maySubscribe(filter), `${filter}: ${topic}`);
        }
      }),
      { numRuns: 2_000 },
    );
    assert(granted > 300 && refused > 300, `${granted} granted, ${refused} refused`);
    const narrow = rightsBy('topic read a/b\ntopic write w/#');
    for (const filter of ['b/#', 'a', 'a/c', 'a/+/c', 'w/#', 'w/x', '$SYS/#', '+/b/c'])
      assert(!narrow.maySubscribe(filter), filter);
    for (const filter of ['a/b', 'a/+', 'a/#', '#', '+/b', 'a/b/#']) assert(narrow.maySubscribe(filter), filter);
  });
});
