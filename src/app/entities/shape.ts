/** Definitions, checked and completed: what everything that runs works from. */
import { createHash } from 'node:crypto';
import type { AccessPattern, EntityDefinition, EntityMap, Related } from './definition.ts';
import { definitionNotValid } from './errors.ts';
import { entityLimits } from './limits.ts';

const { versionsWithEntityMax } = entityLimits;

export interface EntityShape {
  readonly name: string;
  readonly definition: EntityDefinition;
  readonly id: readonly string[];
  /** The entity whose partition it lives in, and how many of the first id attributes are that one's id. */
  readonly parent: { readonly name: string; readonly idLength: number } | undefined;
  readonly patterns: ReadonlyMap<string, PatternShape>;
  readonly unique: readonly UniqueShape[];
  /** How many old versions are kept; undefined = none. */
  readonly historyKeep: number | undefined;
  readonly relations: ReadonlyMap<string, RelationShape>;
  /** Entities that keep a copy of the last one of these. */
  readonly keptCopies: readonly KeptCopy[];
  /** Entities that live in its partition, in the order of their records. */
  readonly children: readonly string[];
  readonly warnings: readonly string[];
}

export interface PatternShape {
  readonly name: string;
  /** `collection`: answered by the records themselves, in their parent's partition. `lookup`: by records of its own. */
  readonly kind: 'lookup' | 'collection';
  readonly by: readonly string[];
  readonly order: string | undefined;
  readonly when: ((attributes: never) => boolean) | undefined;
  /** Attributes in the lookup record; undefined = all. */
  readonly projected: ReadonlySet<string> | undefined;
  /** 1 = not sharded. */
  readonly shards: number;
  readonly unique: boolean;
}

/** Attributes whose values together belong to one entity only. */
export interface UniqueShape {
  readonly name: string;
  readonly attributes: readonly string[];
  readonly when: PatternShape['when'];
}

export type RelationShape =
  | { readonly kind: 'key'; readonly entity: string; readonly key: string }
  | { readonly kind: 'last'; readonly entity: string; readonly pattern: string }
  | { readonly kind: 'list'; readonly entity: string; readonly pattern: string; readonly latest: number | undefined };

export interface KeptCopy {
  readonly parent: string;
  readonly relation: string;
  /** Of the child: its `by` is the parent's id. */
  readonly pattern: string;
  /** Another one when another child may be the last: a copy made for another is none. */
  readonly madeFor: string;
}

export type Shapes = ReadonlyMap<string, EntityShape>;

/** What else lies in the table under a partition key of its own. */
const reservedNames = new Set(['Checkpoint', 'Command', 'DeadLetter', 'Schema', 'Unique']);

/** Throws `entity.definitionNotValid`. */
export function shapesOf(entities: EntityMap): Shapes {
  const kept = keptCopiesOf(entities);
  const shapes = Object.entries(entities).map(([name, definition]): [string, EntityShape] => {
    checkNames(name, definition);
    checkRelations(name, definition, entities);
    const id = listOf(definition.id);
    const parent = parentOf(name, definition, entities);
    const patterns = Object.entries(definition.patterns).map(([patternName, pattern]): [string, PatternShape] => [
      patternName,
      patternOf(patternName, pattern, id, parent?.idLength),
    ]);
    const children = Object.keys(entities).filter(other => entities[other].within === name);
    const shape: EntityShape = {
      name,
      definition,
      id,
      parent,
      patterns: new Map(patterns),
      unique: uniqueOf(definition),
      historyKeep: definition.history === true ? Number.POSITIVE_INFINITY : definition.history?.keep,
      relations: new Map(Object.entries(definition.related ?? {}).map(([key, value]) => [key, relationOf(value)])),
      keptCopies: kept.filter(({ child }) => child === name),
      children: children.toSorted(),
      warnings: [],
    };
    checkSize(shape);
    return [name, { ...shape, warnings: warningsOf(shape) }];
  });
  return new Map(shapes);
}

/** How many records a write takes at most, in one transaction. */
export function recordsAtMost(shape: EntityShape): { create: number; update: number; delete: number } {
  const lookups = lookupsOf(shape).length;
  const moving = lookupsOf(shape).filter(({ by }) => by.length > 0).length; // the others keep their key, and are replaced
  const { length: guards } = shape.unique;
  const { length: copies } = shape.keptCopies;
  const history = shape.historyKeep === undefined ? 0 : shape.historyKeep === Number.POSITIVE_INFINITY ? 1 : 2;
  // Without a bound there are as many as there were changes; those without room go afterwards.
  const versions =
    shape.historyKeep === Number.POSITIVE_INFINITY ? 0 : Math.min(shape.historyKeep ?? 0, versionsWithEntityMax);
  const ownCopies = [...shape.relations.values()].filter(({ kind }) => kind === 'last').length;
  return {
    create: 1 + lookups + guards + copies,
    update: 1 + lookups + moving + 2 * guards + history + 2 * copies,
    delete: 1 + lookups + guards + copies + ownCopies + versions,
  };
}

export function lookupsOf(shape: EntityShape): PatternShape[] {
  return [...shape.patterns.values()].filter(({ kind }) => kind === 'lookup');
}

export function listOf(names: string | readonly string[]): readonly string[] {
  return typeof names === 'string' ? [names] : names;
}

function patternOf(
  name: string,
  { by, order, when, project, shards, unique }: AccessPattern,
  id: readonly string[],
  parentIdLength: number | undefined,
): PatternShape {
  const answersItself =
    parentIdLength !== undefined &&
    by.length === parentIdLength &&
    by.every((attribute, index) => attribute === id[index]) &&
    (order === undefined || (id.length === parentIdLength + 1 && order === id[parentIdLength])) &&
    !when &&
    !shards &&
    !unique;
  return {
    name,
    kind: answersItself ? 'collection' : 'lookup',
    by,
    order,
    when,
    projected: project && !answersItself ? new Set([...project, ...by, ...id, ...(order ? [order] : [])]) : undefined,
    shards: shards ?? (by.length === 0 ? entityLimits.shardsOfKindDefault : 1),
    unique: unique === true,
  };
}

function uniqueOf({ unique = [], patterns }: EntityDefinition): UniqueShape[] {
  const alone = unique.map(name => ({ name, attributes: [name], when: undefined }));
  const ofPatterns = Object.entries(patterns)
    .filter(([, pattern]) => pattern.unique)
    .map(([name, { by, when }]) => ({ name, attributes: by, when }));
  return [...alone, ...ofPatterns];
}

function relationOf(related: Related): RelationShape {
  if ('key' in related) return { kind: 'key', ...related };
  const { entity, pattern, latest } = related;
  return latest === 1 ? { kind: 'last', entity, pattern } : { kind: 'list', entity, pattern, latest };
}

function keptCopiesOf(entities: EntityMap): (KeptCopy & { child: string })[] {
  return Object.entries(entities).flatMap(([parent, { related = {} }]) =>
    Object.entries(related).flatMap(([relation, value]) =>
      'pattern' in value && value.latest === 1
        ? [{ parent, relation, pattern: value.pattern, child: value.entity, madeFor: madeFor(entities, value) }]
        : [],
    ),
  );
}

function madeFor(entities: EntityMap, { entity, pattern }: { entity: string; pattern: string }): string {
  const { by, order, when } = entities[entity]?.patterns[pattern] ?? {}; // Checked afterwards, with words.
  const text = JSON.stringify([entity, pattern, by, order ?? null, String(when)]);
  return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}

// --- Checks ---------------------------------------------------------------------------------------------------------

function checkNames(name: string, definition: EntityDefinition): void {
  const refuse = (message: string): never => {
    throw definitionNotValid(name, message);
  };
  if (!/^[A-Z][A-Za-z0-9]{0,63}$/.test(name)) refuse('a name is PascalCase, 1–64 letters and digits');
  if (reservedNames.has(name)) refuse('the name is taken by records of the runtime');
  const known = new Set(Object.keys(definition.attributes.shape));
  const checkKnown = (attribute: string, where: string) => {
    if (!known.has(attribute)) refuse(`${where} names ${attribute}, which is none of its attributes`);
  };
  for (const attribute of listOf(definition.id)) checkKnown(attribute, 'id');
  for (const attribute of definition.unique ?? []) checkKnown(attribute, 'unique');
  const patterns = Object.entries(definition.patterns);
  if (patterns.length > entityLimits.patternsMax) refuse(`it has more than ${entityLimits.patternsMax} patterns`);
  for (const [patternName, { by, order, project = [], shards = 1, unique }] of patterns) {
    if (!/^[A-Za-z][A-Za-z0-9]{0,63}$/.test(patternName)) refuse(`the pattern ${patternName} is not a plain name`);
    for (const attribute of [...by, ...(order ? [order] : []), ...project]) checkKnown(attribute, patternName);
    if (!Number.isInteger(shards) || shards < 1 || shards > entityLimits.shardsMax)
      refuse(`the shards of ${patternName} are not a whole number from 1 to ${entityLimits.shardsMax}`);
    if (unique && by.length === 0) refuse(`the unique pattern ${patternName} has no attribute in by`);
    if (unique && definition.unique?.includes(patternName)) refuse(`${patternName} is unique twice`);
  }
  for (const [aggregate, { by, sum = [], minMax = [] }] of Object.entries(definition.aggregates ?? {}))
    for (const attribute of [...by, ...sum, ...minMax]) checkKnown(attribute, `aggregates.${aggregate}`);
  const { history, scan } = definition;
  if (typeof history === 'object' && !(Number.isInteger(history.keep) && history.keep >= 1))
    refuse('history.keep is not a whole number from 1');
  if (scan && !(scan.readUnitsMax > 0)) refuse('scan.readUnitsMax is not a positive number');
}

function parentOf(name: string, { within, id }: EntityDefinition, entities: EntityMap): EntityShape['parent'] {
  if (within === undefined) return undefined;
  if (!Object.hasOwn(entities, within)) throw definitionNotValid(name, `there is no ${within} to be within`);
  const { id: parentId, within: grandparent } = entities[within];
  if (grandparent) throw definitionNotValid(name, `${within} is itself within ${grandparent}; one level is possible`);
  const idLength = listOf(parentId).length;
  if (listOf(id).length <= idLength)
    throw definitionNotValid(name, `its id must begin with that of ${within} and have an attribute of its own`);
  return { name: within, idLength };
}

function checkRelations(name: string, definition: EntityDefinition, entities: EntityMap): void {
  for (const [relation, related] of Object.entries(definition.related ?? {})) {
    const refuse = (message: string): never => {
      throw definitionNotValid(name, `related.${relation}: ${message}`);
    };
    if (Object.hasOwn(definition.attributes.shape, relation)) refuse('an attribute has that name');
    if (!Object.hasOwn(entities, related.entity)) refuse(`there is no entity ${related.entity}`);
    const other = entities[related.entity];
    if ('key' in related) {
      if (!Object.hasOwn(definition.attributes.shape, related.key)) refuse(`there is no attribute ${related.key}`);
      if (listOf(other.id).length !== 1) refuse(`${related.entity} is identified by several attributes`);
      continue;
    }
    if (!Object.hasOwn(other.patterns, related.pattern)) refuse(`there is no ${related.entity}.${related.pattern}`);
    const { by } = other.patterns[related.pattern];
    if (by.length !== listOf(definition.id).length)
      refuse(`${related.entity}.${related.pattern} is not by the id of ${name}`);
    const { latest } = related;
    if (latest === undefined) continue;
    if (!Number.isInteger(latest) || latest < 1 || latest > entityLimits.childrenMax)
      refuse(`latest is not a whole number from 1 to ${entityLimits.childrenMax}`);
  }
}

function checkSize(shape: EntityShape): void {
  const { create } = recordsAtMost(shape);
  if (create > entityLimits.transactionItemsMax)
    throw definitionNotValid(
      shape.name,
      `creating one takes ${create} records; a transaction holds ${entityLimits.transactionItemsMax}`,
    );
}

function warningsOf(shape: EntityShape): string[] {
  const warnings: string[] = [];
  const { update } = recordsAtMost(shape);
  if (update > entityLimits.transactionItemsMax)
    warnings.push(
      `${shape.name}: an update that changes every key takes ${update} records; a transaction holds ${entityLimits.transactionItemsMax}, and it would be refused.`,
    );
  for (const { name, by, shards } of lookupsOf(shape)) {
    if (by.length === 0)
      warnings.push(
        `${shape.name}.${name} is by nothing: every ${shape.name} goes through ${shards === 1 ? 'one partition' : `${shards} partitions`}, about ${shards * 1_000} small writes per second.`,
      );
  }
  return warnings;
}
