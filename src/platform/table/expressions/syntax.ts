/** What an expression says, before its aliases are looked up; the same for every request with the same text. */

/** Attribute names, aliases of names, and list indexes, from the item down. */
export type Path = readonly PathStep[];
export type PathStep = { readonly name: string } | { readonly alias: string } | { readonly index: number };

/** An alias of a value, and its place among the values the expression uses. */
export interface ValueAlias {
  readonly value: string;
  readonly slot: number;
}

/** `size` may be called with any number of operands: how many is checked with the aliases, in DynamoDB's order. */
export type Operand = { readonly path: Path } | ValueAlias | { readonly size: readonly Operand[] };

export type Comparator = '=' | '<>' | '<' | '<=' | '>' | '>=';

/** The functions that are conditions, and how many operands each takes. */
export const conditionFunctions = {
  attribute_exists: 1,
  attribute_not_exists: 1,
  attribute_type: 2,
  begins_with: 2,
  contains: 2,
} as const;
export type ConditionFunction = keyof typeof conditionFunctions;

/** The functions that give a value to write, and how many operands each takes. */
export const updateFunctions = { if_not_exists: 2, list_append: 2 } as const;
export type UpdateFunction = keyof typeof updateFunctions;

export type Condition =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Condition[] }
  | { readonly kind: 'not'; readonly inner: Condition }
  | Leaf;

export type Leaf =
  | { readonly kind: 'compare'; readonly comparator: Comparator; readonly operands: readonly [Operand, Operand] }
  | { readonly kind: 'between'; readonly operands: readonly [operand: Operand, lower: Operand, upper: Operand] }
  | { readonly kind: 'in'; readonly operands: readonly [operand: Operand, ...candidates: Operand[]] }
  | { readonly kind: 'function'; readonly name: ConditionFunction; readonly operands: readonly Operand[] };

export type UpdateValue =
  | { readonly path: Path }
  | ValueAlias
  | { readonly kind: 'plus' | 'minus'; readonly left: UpdateValue; readonly right: UpdateValue }
  | { readonly kind: 'call'; readonly name: UpdateFunction; readonly operands: readonly UpdateValue[] };

/** One action; the actions of an update are in the order of its text. */
export type UpdateAction =
  | { readonly clause: 'set'; readonly path: Path; readonly value: UpdateValue }
  | { readonly clause: 'remove'; readonly path: Path }
  | { readonly clause: 'add' | 'delete'; readonly path: Path; readonly value: ValueAlias };

/** A parsed expression and the aliases it uses, each once, in the order of the text. */
export interface Parsed<Root> {
  readonly root: Root;
  readonly paths: readonly Path[];
  readonly names: readonly string[];
  readonly values: readonly string[];
}
