import { type ErrorDescription, MimamoriError } from '../../kernel/errors.ts';

export const entityExists = (entity: string, id: string) =>
  new MimamoriError({
    code: 'entity.exists',
    message: `There is a ${entity} ${id} already.`,
    fix: 'Use another id, or update the one that is there.',
  });

export const entityNotFound = (entity: string, id: string) =>
  new MimamoriError({
    code: 'entity.notFound',
    message: `There is no ${entity} ${id}.`,
    fix: 'Check the id; it may have been deleted.',
  });

export const versionNotFound = (entity: string, id: string, version: number) =>
  new MimamoriError({
    code: 'entity.notFound',
    message: `There is no version ${version} of the ${entity} ${id}.`,
    fix: 'List its history: older versions may not be kept any more.',
  });

export class VersionConflictError extends MimamoriError {
  /** The version that the change was made for; undefined when it was made for whichever is current. */
  readonly expectedVersion: number | undefined;
  readonly storedVersion: number;

  constructor(description: ErrorDescription, expectedVersion: number | undefined, storedVersion: number) {
    super(description);
    this.expectedVersion = expectedVersion;
    this.storedVersion = storedVersion;
  }
}

export const entityVersionConflict = (entity: string, id: string, expected: number, stored: number) =>
  new VersionConflictError(
    {
      code: 'entity.versionConflict',
      message: `The ${entity} ${id} is at version ${stored}, the change was made for ${expected}.`,
      fix: 'Read it again, apply the change to what is there now, and try again.',
    },
    expected,
    stored,
  );

export const entityContended = (entity: string, id: string, stored: number) =>
  new VersionConflictError(
    {
      code: 'entity.versionConflict',
      message: `The ${entity} ${id} was changed by others again and again; it was at version ${stored}.`,
      fix: 'Try again later; if it stays, keep what changes so often in entities of its own.',
      retryable: true,
    },
    undefined,
    stored,
  );

export const entityNotUnique = (entity: string, names: readonly string[]) =>
  new MimamoriError({
    code: 'entity.notUnique',
    message: `Another ${entity} has the same ${names.join(' and ')}.`,
    fix: 'Use another value; nothing was stored.',
  });

export const entityNotValid = (entity: string, problems: string) =>
  new MimamoriError({
    code: 'entity.notValid',
    message: `A ${entity} does not fit its schema: ${problems}.`,
    fix: 'Correct the attributes; nothing was stored.',
  });

export const questionNotValid = (entity: string, pattern: string, problem: string) =>
  new MimamoriError({
    code: 'entity.questionNotValid',
    message: `${entity}.list.${pattern} cannot be asked this way: ${problem}.`,
    fix: 'Give every attribute of `by`, and a range of the type of `order`.',
  });

export const cursorNotValid = () =>
  new MimamoriError({
    code: 'entity.cursorNotValid',
    message: 'The cursor does not belong to this list.',
    fix: 'Pass `next` of the page before, unchanged, or leave it out to begin at the start.',
  });

export const patternNotDeclared = (entity: string, pattern: string, declared: readonly string[]) =>
  new MimamoriError({
    code: 'entity.patternNotDeclared',
    message: `${entity} has no access pattern ${pattern.slice(0, 100)}; it has ${declared.join(', ') || 'none'}.`,
    fix: 'Declare the pattern in the model: keys and lookup records follow from it.',
  });

export const relationNotDeclared = (entity: string, relation: string, reason: string) =>
  new MimamoriError({
    code: 'entity.relationNotDeclared',
    message: `${entity} cannot bring ${relation.slice(0, 100)} along: ${reason}.`,
    fix: 'Declare it under `related`; a list can bring along one entity by `key`, or the last one with `latest: 1`.',
  });

export const transactionTooLarge = (entity: string, id: string, items: number, itemsMax: number) =>
  new MimamoriError({
    code: 'entity.transactionTooLarge',
    message: `Storing the ${entity} ${id} takes ${items} records in one transaction; ${itemsMax} are possible.`,
    fix: 'Declare fewer patterns and unique attributes. Nothing was sent.',
  });

/** As a single write would be refused; the code is the table's. */
export const transactionThrottled = (cause: unknown) =>
  new MimamoriError({
    code: 'table.throttled',
    message: 'There was no capacity for a transaction, in several attempts.',
    fix: 'Try again later; if it stays, spread the load over more partition keys (`shards`) or raise the capacity.',
    retryable: true,
    cause,
  });

export const patternBuilding = (entity: string, pattern: string, scanned: number) =>
  new MimamoriError({
    code: 'entity.patternBuilding',
    message: `The pattern ${entity}.${pattern} is being filled: ${scanned} records looked at so far.`,
    fix: 'Try again when the backfill is done; the log of the app says how far it is.',
    retryable: true,
  });

export const scanNotAllowed = (entity: string, reason: string) =>
  new MimamoriError({
    code: 'entity.scanNotAllowed',
    message: `${entity} cannot be scanned: ${reason}.`,
    fix: 'Declare `scan: { readUnitsMax }` and stay within it; better, declare a pattern for the question.',
  });

/** The budget of a scan is used up; `cursor` resumes where it ended. */
export class ScanBudgetError extends MimamoriError {
  readonly cursor: string;

  constructor(entity: string, usedReadUnits: number, budget: number, cursor: string) {
    super({
      code: 'entity.scanBudgetUsed',
      message: `The scan for ${entity} has used ${usedReadUnits} of ${budget} read units and is not at the end.`,
      fix: 'Go on with the `cursor` of this error, or declare a pattern for the question.',
    });
    this.cursor = cursor;
  }
}

/** Some keys of a batch were still refused after several attempts. */
export class BatchIncompleteError<Item, Key> extends MimamoriError {
  /** What was read. */
  readonly found: readonly Item[];
  /** What was not. */
  readonly remaining: readonly Key[];

  constructor(found: readonly Item[], remaining: readonly Key[]) {
    super({
      code: 'entity.batchIncomplete',
      message: `${remaining.length} records could not be read in several attempts; ${found.length} were.`,
      fix: 'Try the remaining ones later; the table is throttling.',
      retryable: true,
    });
    this.found = found;
    this.remaining = remaining;
  }
}

export const definitionNotValid = (entity: string, message: string) =>
  new MimamoriError({
    code: 'entity.definitionNotValid',
    message: `The entity ${entity} is not declared right: ${message}.`,
    fix: 'Correct the definition in the model.',
  });

export const entityMoved = (entity: string) =>
  new MimamoriError({
    code: 'entity.moved',
    message: `The id of ${entity}, or what it is within, is not what its stored records were made for.`,
    fix: 'Take the change back, or give the entity another name and copy what is stored.',
  });

export const backfillSuperseded = () =>
  new MimamoriError({
    code: 'entity.backfillSuperseded',
    message: 'Somebody else has started or continued the backfill meanwhile.',
    fix: 'Let one app at a time bring a table up to its definitions; this one has stopped.',
  });
