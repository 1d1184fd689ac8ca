/** The expressions of a request, read as far as that is possible before its table is known. */
import type { Door } from '../engine.ts';
import { invalid } from '../errors.ts';
import { Aliases, type Steps } from '../expressions/aliases.ts';
import { parsedCondition, parsedProjection, parsedUpdate } from '../expressions/cache.ts';
import { compileCondition, type Predicate } from '../expressions/condition.ts';
import { compileProjection, type Projection } from '../expressions/projection.ts';
import type { Path, UpdateAction } from '../expressions/syntax.ts';
import { type CompiledUpdate, compileUpdate } from '../expressions/update.ts';
import { keyAttributes, type TableLayout } from '../storage/layout.ts';
import { isTranslated } from './translated.ts';

export interface AliasParameters {
  readonly ExpressionAttributeNames?: Record<string, string>;
  readonly ExpressionAttributeValues?: Record<string, unknown>;
}

export interface ReadAliases {
  readonly aliases: Aliases;
  /** Size of the values, names included. */
  readonly valueBytes: number;
}

export function readAliases(parameters: AliasParameters, { format }: Door): ReadAliases {
  const { ExpressionAttributeNames: names, ExpressionAttributeValues: values } = parameters;
  let valueBytes = 0;
  const measuring = {
    readItem(outside: unknown) {
      const measured = format.readItem(outside);
      valueBytes = measured.bytes;
      return measured;
    },
  };
  return { aliases: new Aliases(names, values, measuring, isTranslated(parameters)), valueBytes };
}

/** The paths an expression names; what they lead to is looked at only when that matters. */
export class ReadPaths {
  readonly #paths: readonly Path[];
  readonly #aliases: Aliases;

  constructor(paths: readonly Path[], aliases: Aliases) {
    this.#paths = paths;
    this.#aliases = aliases;
  }

  /** The attributes of the item they begin with. */
  names(): Set<string> {
    return new Set(this.#paths.map(path => nameOf(this.#aliases.steps(path))));
  }

  /** Attributes that a path goes into. */
  namesEntered(): Set<string> {
    return new Set(this.#paths.filter(path => path.length > 1).map(path => nameOf(this.#aliases.steps(path))));
  }
}

function nameOf([name]: Steps): string {
  return String(name);
}

export interface ReadPredicate {
  readonly holds: Predicate;
  readonly paths: ReadPaths;
}

export function readCondition(
  kind: 'ConditionExpression' | 'FilterExpression',
  text: string | undefined,
  aliases: Aliases,
): ReadPredicate | undefined {
  if (text === undefined) return undefined;
  const parsed = aliases.use(kind, parsedCondition(kind, text, aliases.isTranslated));
  return { holds: compileCondition(kind, parsed, aliases), paths: new ReadPaths(parsed.paths, aliases) };
}

export interface ReadProjection {
  readonly project: Projection;
  readonly paths: ReadPaths;
}

export function readProjection(text: string | undefined, aliases: Aliases): ReadProjection | undefined {
  if (text === undefined) return undefined;
  const parsed = aliases.use('ProjectionExpression', parsedProjection(text, aliases.isTranslated));
  return { project: compileProjection(parsed, aliases), paths: new ReadPaths(parsed.root, aliases) };
}

export interface ReadUpdate {
  readonly actions: readonly UpdateAction[];
  readonly compiled: CompiledUpdate;
  readonly paths: ReadPaths;
}

export function readUpdate(text: string | undefined, aliases: Aliases): ReadUpdate | undefined {
  if (text === undefined) return undefined;
  const parsed = aliases.use('UpdateExpression', parsedUpdate(text, aliases.isTranslated));
  return {
    actions: parsed.root,
    compiled: compileUpdate(parsed, aliases),
    paths: new ReadPaths(parsed.paths, aliases),
  };
}

/** No path may lead into a key, of the table or of an index: keys are scalars. */
export function refusePathsIntoKeys(table: TableLayout, paths: ReadPaths): void {
  const entered = paths.namesEntered();
  if (entered.size === 0) return;
  for (const { name } of keyAttributes(table.keys)) if (entered.has(name)) throw intoKey('Key', name);
  for (const { keys } of table.indexes) {
    for (const { name } of keyAttributes(keys)) if (entered.has(name)) throw intoKey('IndexKey', name);
  }
}

function intoKey(what: 'Key' | 'IndexKey', name: string) {
  return invalid(
    `Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: ${what}: ${name}`,
  );
}
