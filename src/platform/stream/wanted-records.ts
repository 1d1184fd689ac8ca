import type { PassedRecords, RecordFilter, StreamRecord } from './port.ts';

/** Without what `wants` refuses, except for the last record, which tells how far the reader has come. `passed` is told of it. */
export function keepWanted(records: StreamRecord[], wants: RecordFilter, passed?: PassedRecords): StreamRecord[] {
  return records.filter((record, index) => {
    const isWanted = wants(record.data, 0, record.data.length);
    if (!isWanted && passed) notePassed(record, passed);
    return isWanted || index === records.length - 1;
  });
}

function notePassed({ sequenceNumber, partitionKey, data, arrivalAtMs }: StreamRecord, passed: PassedRecords): void {
  const key = Buffer.from(partitionKey);
  passed.begin(sequenceNumber, arrivalAtMs);
  passed.add(0, Buffer.concat([key, data]), 0, key.length, key.length + data.length);
}
