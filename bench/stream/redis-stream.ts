// Redis Streams over TCP: XADD on one connection, pipelined; XREAD on another.
import { RedisClient, type RedisReply } from './redis-client.ts';
import type { StreamUnderLoad } from './stream-under-load.ts';

const key = 'bench';
const fillAtOnce = 1_000;
const readCount = '1000'; // a reply is read again from its start with each piece that comes

export async function openRedisStream(place: string): Promise<StreamUnderLoad> {
  const port = Number(place);
  const writer = await RedisClient.open(port);
  const reader = await RedisClient.open(port);
  let isOpen = true;
  const append = (data: Buffer) => writer.command('XADD', key, '*', 'd', data);

  const followFrom = async (from: string, onEntries: (entries: Entry[]) => boolean) => {
    for (let last = from; isOpen; ) {
      const entries = entriesOf(await reader.command('XREAD', 'COUNT', readCount, 'BLOCK', '0', 'STREAMS', key, last));
      last = entries[entries.length - 1].id;
      if (!onEntries(entries)) return;
    }
  };

  return {
    append,
    async fill(data, count) {
      for (let left = count; left > 0; left -= fillAtOnce) {
        await Promise.all(Array.from({ length: Math.min(left, fillAtOnce) }, () => append(data)));
      }
    },
    async follow(onRecords) {
      await append(Buffer.from('-1')); // So that there is a last one to follow.
      const newest = await reader.command('XREVRANGE', key, '+', '-', 'COUNT', '1');
      const [{ id }] = readEntries(newest);
      followFrom(id, entries => {
        onRecords(entries.map(({ data }) => Buffer.from(data, 'latin1')));
        return true;
      }).catch(error => {
        if (isOpen) throw error; // It waits when it is closed.
      });
    },
    async drain(count) {
      let seen = 0;
      await followFrom('0', entries => {
        seen += entries.length;
        return seen < count;
      });
    },
    async close() {
      isOpen = false;
      writer.close();
      reader.close();
    },
  };
}

interface Entry {
  id: string;
  data: string;
}

/** Of XREAD on one stream: [[key, entries]]. */
function entriesOf(reply: RedisReply): Entry[] {
  const [[, entries]] = reply as [[string, RedisReply]]; // what Redis documents
  return readEntries(entries);
}

function readEntries(entries: RedisReply): Entry[] {
  return (entries as [string, [string, string]][]).map(([id, [, data]]) => ({ id, data })); // likewise
}
