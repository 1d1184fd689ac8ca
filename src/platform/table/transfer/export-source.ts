/** Where an export gets its items: a snapshot of all tables, or where there is none, scans of each. */
import type { TableDescription } from '@aws-sdk/client-dynamodb';
import type { Clock } from '../../../kernel/clock.ts';
import { codeOf } from '../../../kernel/errors.ts';
import { creationOf } from './creation.ts';
import { snapshotGone, tableNotExported } from './errors.ts';
import type { OpenedSnapshot, SnapshotPage, SnapshotTable } from './held-snapshots.ts';
import { transferLimits } from './limits.ts';

/** One operation of the table's API by name, in wire form: in process or over HTTP. */
export type Call = (operation: string, input: object) => Promise<unknown>;

export interface ExportSource {
  /** Of all tables at one moment, or not. */
  readonly isSnapshot: boolean;
  /** The same for the same data, so that an export may be continued; undefined: it never may. */
  readonly mark: string | undefined;
  readonly atMs: number;
  readonly tables: readonly SnapshotTable[];
  /** Parts of a table that are read at the same time. */
  readonly segments: number;
  /** @param position  where the page before ended; undefined: at the beginning */
  read(tableName: string, segment: number, position: unknown): Promise<SourcePage>;
  /** @param keeps  leaves it for whoever resumes, as long as that is possible */
  close(keeps: boolean): Promise<void>;
}

export interface SourcePage {
  readonly items: readonly Record<string, unknown>[];
  /** Undefined after the last. */
  readonly next: unknown;
}

export interface SourceOptions {
  readonly call: Call;
  readonly clock: Clock;
  /** Undefined: all. */
  readonly tableNames: readonly string[] | undefined;
  /** The mark of an export that is to be resumed. */
  readonly resumed?: string;
  /** Of data that nobody else can change meanwhile: tells whether they are those of another time. */
  readonly dataMark?: string;
}

/** Whether a server has what our own has beside DynamoDB's API is found out by asking. */
export async function openSource(options: SourceOptions): Promise<ExportSource> {
  const { call, resumed } = options;
  try {
    const held = resumed === undefined ? undefined : await reopened(call, resumed);
    const opened = held ?? ((await call('OpenSnapshot', {})) as OpenedSnapshot); // a cast: our own answer
    return snapshotSource(options, opened);
  } catch (error) {
    if (!isUnknownOperation(error)) throw error;
    return await scanSource(options);
  }
}

/** The snapshot an interrupted export has left, if it is still held. */
async function reopened(call: Call, mark: string): Promise<OpenedSnapshot | undefined> {
  const [kind, SnapshotId] = mark.split(' ');
  if (kind !== 'snapshot') return undefined;
  try {
    return (await call('DescribeSnapshot', { SnapshotId })) as OpenedSnapshot; // a cast: our own answer
  } catch (error) {
    if (isUnknownOperation(error) || isGone(error)) return undefined;
    throw error;
  }
}

function snapshotSource({ call, tableNames, dataMark }: SourceOptions, opened: OpenedSnapshot): ExportSource {
  const { SnapshotId, AtMs, Tables } = opened;
  return {
    isSnapshot: true,
    mark: dataMark === undefined ? `snapshot ${SnapshotId}` : `data ${dataMark}`,
    atMs: AtMs,
    tables: chosen(Tables, tableNames),
    segments: 1,
    async read(TableName, _segment, position) {
      try {
        const input = { SnapshotId, TableName, ...(position !== undefined && { Position: position }) };
        const { Items, NextPosition } = (await call('ReadSnapshot', input)) as SnapshotPage; // a cast: our own answer
        return { items: Items, next: NextPosition };
      } catch (error) {
        throw isGone(error) ? snapshotGone() : error;
      }
    },
    async close(keeps) {
      if (!keeps) await call('CloseSnapshot', { SnapshotId });
    },
  };
}

function chosen(tables: readonly SnapshotTable[], names: readonly string[] | undefined): readonly SnapshotTable[] {
  if (names === undefined) return tables;
  return [...new Set(names)].map(name => {
    const table = tables.find(({ Create }) => Create.TableName === name);
    if (table === undefined) {
      throw tableNotExported(
        name,
        tables.map(({ Create }) => Create.TableName),
      );
    }
    return table;
  });
}

/** Items written meanwhile may be there or not; each that was there all the time is there once. */
async function scanSource({ call, clock, tableNames }: SourceOptions): Promise<ExportSource> {
  const tables: SnapshotTable[] = [];
  for (const name of tableNames ?? (await listTables(call))) tables.push(await describe(call, name));
  const ids = tables.map(({ TableId, TableArn }) => TableId || TableArn).join(',');
  return {
    isSnapshot: false,
    mark: `scan ${ids}`,
    atMs: clock.nowMs(),
    tables,
    segments: transferLimits.scanSegments,
    async read(TableName, Segment, ExclusiveStartKey) {
      const input = {
        TableName,
        Segment,
        TotalSegments: transferLimits.scanSegments,
        ConsistentRead: true,
        ...(ExclusiveStartKey !== undefined && { ExclusiveStartKey }),
      };
      // A cast: that is what Scan answers.
      const { Items = [], LastEvaluatedKey } = (await call('Scan', input)) as {
        Items?: Record<string, unknown>[];
        LastEvaluatedKey?: Record<string, unknown>;
      };
      return { items: Items, next: LastEvaluatedKey };
    },
    close: async () => {},
  };
}

async function listTables(call: Call): Promise<string[]> {
  const names: string[] = [];
  let ExclusiveStartTableName: string | undefined;
  do {
    const page = (await call('ListTables', { ExclusiveStartTableName })) as {
      TableNames?: string[];
      LastEvaluatedTableName?: string;
    }; // a cast: that is what ListTables answers
    names.push(...(page.TableNames ?? []));
    ExclusiveStartTableName = page.LastEvaluatedTableName;
  } while (ExclusiveStartTableName !== undefined);
  return names;
}

async function describe(call: Call, TableName: string): Promise<SnapshotTable> {
  const { Table = {} } = (await call('DescribeTable', { TableName })) as { Table?: TableDescription }; // as above
  const { TableArn = '', TableId = '', ItemCount = 0, TableSizeBytes = 0 } = Table;
  return { ...creationOf(Table, await expiryOf(call, TableName)), TableArn, TableId, ItemCount, TableSizeBytes };
}

/** Undefined also where the server does not know the call. */
async function expiryOf(call: Call, TableName: string): Promise<string | undefined> {
  try {
    const { TimeToLiveDescription: described } = (await call('DescribeTimeToLive', { TableName })) as {
      TimeToLiveDescription?: { TimeToLiveStatus?: string; AttributeName?: string };
    }; // as above
    return described?.TimeToLiveStatus?.startsWith('ENABL') ? described.AttributeName : undefined;
  } catch (error) {
    if (isUnknownOperation(error)) return undefined;
    throw error;
  }
}

export function isUnknownOperation(error: unknown): boolean {
  return error instanceof Error && error.name === 'UnknownOperationException';
}

function isGone(error: unknown): boolean {
  return (
    codeOf(error) === 'table.resourceNotFound' || (error instanceof Error && error.name === 'ResourceNotFoundException')
  );
}
