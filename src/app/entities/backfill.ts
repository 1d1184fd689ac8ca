/**
 * Brings the stored records up to the definitions. The table keeps what its records were made for; where a definition is
 * another, every entity is looked at once, page by page, and its lookups, guards and copies are put right. Each repair
 * holds only while the entity is as it was read, and the place reached is stored after each page: the app may write
 * meanwhile, and the power may be cut at any moment. Patterns in the making are refused until the end.
 */
import { isDeepStrictEqual } from 'node:util';
import { isConditionFailure } from '../../platform/table/index.ts';
import { appTable } from './app-table.ts';
import type { EntityMap } from './definition.ts';
import type { EntityEnvironment } from './environment.ts';
import { backfillSuperseded, entityMoved } from './errors.ts';
import { type Fingerprints, fingerprintsOf, placesOf } from './fingerprints.ts';
import { entityOfRecord, type GuardRecord, guardSortKey, type RecordKey, type StoredEntity } from './records.ts';
import { deleteStaleGuard, repairEntity } from './repair.ts';
import { type Shapes, shapesOf } from './shape.ts';

export const backfillLimits = {
  pageRecordsMax: 200, // ours: what is done again after a crash
  atOnceMax: 8, // ours: entities repaired at the same time
} as const;

export interface BackfillProgress {
  /** Records looked at, of all kinds, since the backfill began. */
  readonly scanned: number;
  /** Entities whose records were put right. */
  readonly repaired: number;
  /** Values of a new unique attribute that several entities have already; the first one found keeps it. */
  readonly notUnique: number;
}

/** The record that says what the others were made for. */
interface SchemaRecord extends RecordKey, BackfillProgress {
  readonly Revision: number;
  readonly Places: Fingerprints;
  /** Parts whose records are all there. */
  readonly Ready: Fingerprints;
  /** What a backfill under way works towards, and how far it has got. */
  readonly Target?: Fingerprints;
  readonly From?: Readonly<Record<string, unknown>>;
}

export interface BackfillEnvironment extends Pick<EntityEnvironment, 'table' | 'clock' | 'random'> {
  /** Default `backfillLimits.pageRecordsMax`. */
  readonly pageRecordsMax?: number;
}

const key: RecordKey = { PK: 'Schema', SK: 'Schema' };
const { tableName: TableName } = appTable;

export class Backfill {
  readonly #environment: BackfillEnvironment;
  readonly #shapes: Shapes;
  #record: SchemaRecord;

  private constructor(environment: BackfillEnvironment, shapes: Shapes, record: SchemaRecord) {
    this.#environment = environment;
    this.#shapes = shapes;
    this.#record = record;
  }

  /** Compares the definitions with what is stored. Throws `entity.moved`, `entity.definitionNotValid`. */
  static async open(environment: BackfillEnvironment, entities: EntityMap): Promise<Backfill> {
    const shapes = shapesOf(entities);
    const { Item } = await environment.table.get({ TableName, Key: { ...key }, ConsistentRead: true });
    const stored = Item as SchemaRecord | undefined; // As this class put it there.
    const wanted = fingerprintsOf(shapes);
    const Places = { ...stored?.Places, ...placesOf(shapes) };
    for (const [name, place] of Object.entries(stored?.Places ?? {}))
      if (Places[name] !== place) throw entityMoved(name);
    const nothing = { ...key, Revision: 0, scanned: 0, repaired: 0, notUnique: 0, Places, Ready: {} };
    if (!stored && shapes.size === 0) return new Backfill(environment, shapes, nothing);
    if (stored && isDeepStrictEqual(stored.Ready, wanted) && !stored.Target)
      return new Backfill(environment, shapes, stored);
    const isSameWork = stored?.Target !== undefined && isDeepStrictEqual(stored.Target, wanted);
    const Ready = Object.fromEntries(
      Object.entries(stored?.Ready ?? {}).filter(([part, print]) => wanted[part] === print),
    );
    const begun = isSameWork ? stored : nothing;
    const backfill = new Backfill(environment, shapes, {
      ...begun,
      Revision: stored?.Revision ?? 0,
      Places,
      Ready,
      Target: wanted,
    });
    await backfill.#save({});
    return backfill;
  }

  get isDone(): boolean {
    return this.#record.Target === undefined;
  }

  get progress(): BackfillProgress {
    const { scanned, repaired, notUnique } = this.#record;
    return { scanned, repaired, notUnique };
  }

  /** What is in the making, by `partName`. */
  get building(): string[] {
    const { Target = {}, Ready } = this.#record;
    return Object.keys(Target).filter(part => Ready[part] !== Target[part]);
  }

  /** How many records were looked at so far while this part is in the making. */
  scannedFor(part: string): number | undefined {
    const { Target, Ready, scanned } = this.#record;
    return Target && Object.hasOwn(Target, part) && Ready[part] !== Target[part] ? scanned : undefined;
  }

  /** One page. Throws `entity.backfillSuperseded`. */
  async step(): Promise<void> {
    const { From } = this.#record;
    const page = await this.#environment.table.scan({
      TableName,
      Limit: this.#environment.pageRecordsMax ?? backfillLimits.pageRecordsMax,
      ConsistentRead: true,
      ExclusiveStartKey: From && { ...From },
    });
    const records = (page.Items ?? []) as StoredEntity[]; // Of all kinds; every one has the keys.
    const done = { scanned: this.#record.scanned + records.length, ...(await this.#repairAll(records)) };
    const { LastEvaluatedKey } = page;
    if (LastEvaluatedKey) return this.#save({ ...done, From: LastEvaluatedKey });
    const { Target, From: _, ...rest } = this.#record;
    this.#record = rest;
    await this.#save({ ...done, Ready: Target });
  }

  /** To the end, or until `signal`; another run goes on from there. */
  async run(onProgress: (progress: BackfillProgress) => void = () => {}, signal?: AbortSignal): Promise<void> {
    while (!this.isDone && !signal?.aborted) {
      await this.step();
      onProgress(this.progress);
    }
  }

  async #repairAll(records: readonly StoredEntity[]): Promise<Pick<BackfillProgress, 'repaired' | 'notUnique'>> {
    let { repaired, notUnique } = this.#record;
    const building = new Set(this.building);
    const next = records.values();
    const lane = async () => {
      for (const record of next) {
        const outcome = await this.#repair(record, building);
        repaired += outcome.isRepaired ? 1 : 0;
        notUnique += outcome.notUnique;
      }
    };
    await Promise.all(Array.from({ length: backfillLimits.atOnceMax }, lane));
    return { repaired, notUnique };
  }

  async #repair(record: StoredEntity, building: ReadonlySet<string>) {
    const nothing = { isRepaired: false, notUnique: 0 };
    const environment = { ...this.#environment, shapes: this.#shapes };
    if (record.SK === guardSortKey) {
      await deleteStaleGuard(environment, record as unknown as GuardRecord); // a cast: only guards have that sort key
      return nothing;
    }
    if (isStaleCopy(this.#shapes, record)) {
      await this.#environment.table.delete({ TableName, Key: { PK: record.PK, SK: record.SK } });
      return nothing;
    }
    const shape = this.#shapes.get(entityOfRecord(record) ?? '');
    return shape ? repairEntity(environment, shape, record, building) : nothing;
  }

  async #save(changes: Partial<SchemaRecord>): Promise<void> {
    const { Revision } = this.#record;
    const next = { ...this.#record, ...changes, Revision: Revision + 1 };
    try {
      await this.#environment.table.put({
        TableName,
        Item: next,
        ConditionExpression: Revision === 0 ? 'attribute_not_exists(PK)' : 'Revision = :revision',
        ...(Revision > 0 && { ExpressionAttributeValues: { ':revision': Revision } }),
      });
    } catch (error) {
      throw isConditionFailure(error) ? backfillSuperseded() : error;
    }
    this.#record = next;
  }
}

/** Of a relation that is no more. One that is kept otherwise now is replaced by the first child that is looked at. */
function isStaleCopy(shapes: Shapes, { SK }: RecordKey): boolean {
  const [parent, last, relation] = SK.split('#', 3);
  return last === 'last' && relation !== undefined && shapes.get(parent)?.relations.get(relation)?.kind !== 'last';
}
