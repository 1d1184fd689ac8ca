/** `--limits aws`: each table and index of an engine gets the throughput it is set to, also when that changes. */
import type { Clock } from '../../../kernel/clock.ts';
import { indexArn, tableArn } from '../arn.ts';
import type { Catalog } from '../storage/catalog.ts';
import type { StoredTable, Throughput as StoredThroughput } from '../storage/stored-table.ts';
import type { Meter, Use } from './meter.ts';
import { AwsThroughput, type Throughput } from './throughput.ts';

interface Known {
  readonly stored: StoredTable;
  /** What the throughput of the table and its indexes follows from. */
  readonly settings: string;
}

export class CloudMeter implements Meter {
  readonly #throughput: AwsThroughput;
  readonly #known = new Map<string, Known>();
  #catalog: Pick<Catalog, 'find'> | undefined;

  constructor(clock: Clock) {
    this.#throughput = new AwsThroughput(clock, (tableName, indexName) => {
      const stored = this.#catalog?.find(tableName);
      return { arn: arnOf(tableName, indexName), ...(stored && provisionedOf(stored, indexName)) };
    });
  }

  /** An engine is opened with its meter, so its tables are known only afterwards. */
  follow({ catalog }: { readonly catalog: Pick<Catalog, 'find'> }): void {
    this.#catalog = catalog;
  }

  admit(use: Use): void {
    this.#throughput.admit(this.#placed(use));
  }

  charge(use: Use, units: number): void {
    this.#throughput.charge(this.#placed(use), units);
  }

  /** Local indexes live on what their table has. */
  #placed(use: Use): Use {
    const { tableName, indexName } = use;
    const stored = this.#catalog?.find(tableName);
    const known = this.#known.get(tableName);
    if (stored !== known?.stored) this.#compare(tableName, stored, known);
    if (indexName === undefined) return use;
    const index = stored?.indexes.find(each => each.indexName === indexName);
    return index?.kind === 'local' ? { ...use, indexName: undefined } : use;
  }

  #compare(tableName: string, stored: StoredTable | undefined, known: Known | undefined): void {
    const settings = stored && settingsOf(stored);
    if (known !== undefined && settings !== known.settings) this.#throughput.forget(tableName);
    if (stored === undefined || settings === undefined) this.#known.delete(tableName);
    else this.#known.set(tableName, { stored, settings });
  }
}

function provisionedOf({ settings, indexes }: StoredTable, indexName: string | undefined): Partial<Throughput> {
  if (settings.billingMode !== 'PROVISIONED') return {};
  const index = indexes.find(each => each.indexName === indexName);
  const { read, write }: StoredThroughput = index?.throughput ?? settings.throughput;
  return { provisioned: { read, write } };
}

function settingsOf({ tableId, settings, indexes }: StoredTable): string {
  const { billingMode, throughput } = settings;
  return JSON.stringify([tableId, billingMode, throughput, indexes.map(each => [each.indexName, each.throughput])]);
}

function arnOf(tableName: string, indexName: string | undefined): string {
  return indexName === undefined ? tableArn(tableName) : indexArn(tableName, indexName);
}
