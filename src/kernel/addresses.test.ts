import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, it } from 'node:test';
import { AddressCap, addressGroup, canonicalAddress } from './addresses.ts';

describe('an address', () => {
  const spellings: readonly (readonly [string, string])[] = [
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:c000:0207', '192.0.2.7'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:0db8::0001', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::1', '::1'],
    ['::', '::'],
    ['unknown', 'unknown'],
  ];
  for (const [spelling, canonical] of spellings) {
    it(`has one spelling: ${spelling} is ${canonical}`, () => assert.equal(canonicalAddress(spelling), canonical));
  }

  it('counts with its /64 when it is IPv6 (hostile H13)', () => {
    assert.equal(addressGroup('192.0.2.7'), '192.0.2.7');
    assert.equal(addressGroup('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64');
    assert.equal(addressGroup('2001:db8:1:2::6'), '2001:db8:1:2::/64');
    assert.equal(addressGroup('2001:db8::6'), '2001:db8:0:0::/64');
    assert.equal(addressGroup('2001:db8::6:7:8:9:a'), '2001:db8:0:6::/64');
    assert.equal(addressGroup('::1'), '0:0:0:0::/64');
    assert.equal(addressGroup('::'), '0:0:0:0::/64');
    assert.equal(addressGroup('2001:db8:1:2::'), '2001:db8:1:2::/64');
  });
});

describe('the cap of connections per address', () => {
  it('counts them by address and forgets who has none', async () => {
    const cap = new AddressCap(2);
    const sockets = Array.from({ length: 3 }, () => new net.Socket());
    assert(cap.admit(sockets[0], '192.0.2.7'));
    assert(cap.admit(sockets[1], '192.0.2.7'));
    assert(!cap.admit(new net.Socket(), '192.0.2.7'));
    assert(cap.admit(sockets[2], '192.0.2.8'));
    assert.equal(cap.addresses, 2);
    for (const socket of sockets) {
      socket.destroy();
      await once(socket, 'close');
    }
    assert.equal(cap.addresses, 0);
  });

  it('does not count a connection that is closed already', async () => {
    const cap = new AddressCap(1);
    const socket = new net.Socket().destroy();
    await once(socket, 'close');
    cap.admit(socket, '192.0.2.7');
    assert.equal(cap.addresses, 0);
  });
});
