/** What Kinesis does and we do not. It is said by name, with what to do instead, while what nobody knows is answered without words. */
const consumers = 'Read with GetRecords (in the Kinesis Client Library: the polling configuration).';
const atRest = 'Encrypt the disk that the data lie on.';
const access = 'Whoever has a key of this endpoint may do everything.';

const unsupported: ReadonlyMap<string, string> = new Map([
  ...each('RegisterStreamConsumer DeregisterStreamConsumer DescribeStreamConsumer ListStreamConsumers', consumers),
  ...each('SubscribeToShard', consumers),
  ...each('StartStreamEncryption StopStreamEncryption', atRest),
  ...each('PutResourcePolicy GetResourcePolicy DeleteResourcePolicy', access),
  ...each(
    'DescribeAccountSettings UpdateAccountSettings UpdateStreamWarmThroughput',
    'There is nothing to pay for here.',
  ),
  ...each('UpdateStreamRecordDistributionStrategy', 'Records go to shards by the hash of their partition key.'),
  ...each(
    'CreateChannel DeleteChannel DescribeChannel ListChannels UpdateChannel',
    'Read with GetRecords, and write with PutRecords.',
  ),
]);

const kinesis = 'Kinesis_20131202.';

/** @returns the name of the operation, and what to do instead, if the target is one of Kinesis' that we do not carry out */
export function unsupportedOperation(target: string): { name: string; instead: string } | undefined {
  if (!target.startsWith(kinesis)) return undefined;
  const name = target.slice(kinesis.length);
  const instead = unsupported.get(name);
  return instead === undefined ? undefined : { name, instead };
}

function each(names: string, instead: string): [string, string][] {
  return names.split(' ').map(name => [name, instead]);
}
