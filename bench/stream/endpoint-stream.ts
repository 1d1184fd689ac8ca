// Our Kinesis endpoint, written to as the SDK writes, on a socket for each caller: PutRecord.
import { RawCalls } from '../raw-calls.ts';
import type { StreamUnderLoad } from './stream-under-load.ts';

const StreamName = 'bench';
const activeTriesMax = 100;

export async function openEndpointStream(url: string): Promise<StreamUnderLoad> {
  const calls = new RawCalls(url, {
    target: 'Kinesis_20131202',
    contentType: 'application/x-amz-json-1.1',
    name: 'kinesis',
  });
  await calls.call('CreateStream', { StreamName, ShardCount: 1 });
  for (let tries = 0; ; tries++) {
    const answer = JSON.parse(await calls.call('DescribeStreamSummary', { StreamName }));
    if (answer.StreamDescriptionSummary.StreamStatus === 'ACTIVE') break;
    if (tries === activeTriesMax) throw new Error('The stream did not become active.');
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  return {
    append: data => calls.call('PutRecord', { StreamName, PartitionKey: 'thing-1', Data: data.toString('base64') }),
    close: async () => calls.close(),
  };
}
