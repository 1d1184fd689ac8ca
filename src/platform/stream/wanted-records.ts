import type { RecordFilter, StreamRecord } from './port.ts';

/** Without what `wants` refuses, except for the last record, which tells how far the reader has come. */
export function keepWanted(records: StreamRecord[], wants: RecordFilter): StreamRecord[] {
  return records.filter(({ data }, index) => index === records.length - 1 || wants(data, 0, data.length));
}
