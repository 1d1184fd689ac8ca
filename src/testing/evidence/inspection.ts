/** What a test can see of an app: what is stored, what has happened, what was said. */
import type { CapacityReport } from '../../app/index.ts';
import { type LedgerQuestion, type LedgerRow, ledgerRows } from '../../app/ledger/index.ts';
import { asCaller } from '../../kernel/callers.ts';
import { type AlarmState, type LogLine, type LogQuestion, logLimits } from '../../ops/index.ts';
import type { EntityName, EntityOf, ModelParts } from '../model-types.ts';
import { testCaller } from '../world/kept.ts';
import type { Life } from '../world/life.ts';
import type { Running } from '../world/running.ts';
import { Evidence } from './evidence.ts';
import type { SeenInvocation } from './invocations.ts';
import type { SeenMessage } from './messages.ts';
import {
  commandsIn,
  entitiesIn,
  readDeadLetters,
  readItems,
  type SeenCommand,
  type SeenDeadLetter,
  type SeenItem,
} from './stored.ts';

export class Inspection<M extends ModelParts> {
  readonly #life: Life;
  #read: { readonly of: Running; readonly moment: string; readonly items: SeenItem[] } | undefined;

  constructor(life: Life) {
    this.#life = life;
  }

  // --- What is stored ---------------------------------------------------------------------------------------------

  /** What is stored of an entity. */
  async items<Name extends EntityName<M>>(entity: Name): Promise<Evidence<EntityOf<M, Name>>> {
    const found = entitiesIn(await this.#readItems(), entity);
    return new Evidence(`items of ${entity}`, found as EntityOf<M, Name>[]); // As the repository put them there.
  }

  /** Everything in the table, as it lies there. */
  async records(): Promise<Evidence<SeenItem>> {
    return new Evidence('records', await this.#readItems());
  }

  async commands(): Promise<Evidence<SeenCommand>> {
    return new Evidence('commands', commandsIn(await this.#readItems()));
  }

  /** By minute, thing and consumer: what came in, and what became of it. What is missing is known when a minute is over. */
  async ledger(question: LedgerQuestion = {}): Promise<Evidence<LedgerRow>> {
    const { ledger } = this.#life.now.backend.runtime;
    const rows: LedgerRow[] = [];
    await this.#asTest('the ledger is read', async () => {
      for await (const row of ledgerRows(ledger, question)) rows.push(row);
    });
    return new Evidence('rows of the ledger', rows);
  }

  /** What could not be handled. */
  async deadLetters(): Promise<Evidence<SeenDeadLetter>> {
    const { deadLetters } = this.#life.now.backend.runtime;
    return new Evidence(
      'dead letters',
      await this.#asTest('the dead letters are read', () => readDeadLetters(deadLetters)),
    );
  }

  // --- What has happened ------------------------------------------------------------------------------------------

  get messages(): Evidence<SeenMessage> {
    return this.#life.kept.messages.evidence();
  }

  /** Of functions and routes, ended ones, in the order they ended. */
  get invocations(): Evidence<SeenInvocation> {
    return new Evidence('invocations', this.#life.kept.invocations.all());
  }

  /** Those that last, and those that are over. */
  get alarms(): Evidence<AlarmState> {
    return new Evidence('alarms', this.#life.now.backend.alarms.list());
  }

  /** What was logged, by the app and by the platform; the newest lines that answer the question. */
  async logs(question: LogQuestion = {}): Promise<Evidence<LogLine>> {
    const lines = this.#life.now.backend.logs.lines(question, logLimits.linesMax);
    return new Evidence('log lines', await this.#life.time.until('the log is read', lines));
  }

  /** What functions and routes have used of the table since the last start. */
  capacity(): CapacityReport {
    return this.#life.now.backend.capacity();
  }

  /** Why storage gave up, if it did. Whoever takes it is not told again. */
  takeFailures(): unknown[] {
    return this.#life.takeFailures();
  }

  // --- Inside -----------------------------------------------------------------------------------------------------

  /** Once for all that is asked at one moment. */
  async #readItems(): Promise<SeenItem[]> {
    const running = this.#life.now;
    const { backend, activity } = running;
    const moment = () => `${backend.runtime.context.clock.monotonicMs()} ${activity.writes}`;
    if (this.#read?.of === running && this.#read.moment === moment()) return this.#read.items;
    const items = await this.#asTest('the table is read', () => readItems(backend.table));
    this.#read = { of: running, moment: moment(), items };
    return items;
  }

  #asTest<T>(what: string, work: () => Promise<T>): Promise<T> {
    return asCaller({ functionName: testCaller }, () => this.#life.time.until(what, work()));
  }
}
