/** What an expression says, before its aliases are looked up; the same for every request with the same text. */

/** Attribute names, aliases of names, and list indexes, from the item down. */
export type Path = readonly PathStep[];
export type PathStep = { readonly name: string } | { readonly alias: string } | { readonly index: number };

export type Operand = { readonly path: Path } | { readonly value: string } | { readonly sizeOf: Path };

export type Comparator = '=' | '<>' | '<' | '<=' | '>' | '>=';

export const conditionFunctions = {
  attribute_exists: 1,
  attribute_not_exists: 1,
  attribute_type: 2,
  begins_with: 2,
  contains: 2,
} as const;
export type ConditionFunction = keyof typeof conditionFunctions;

export type Condition =
  | { readonly kind: 'and' | 'or'; readonly left: Condition; readonly right: Condition }
  | { readonly kind: 'not'; readonly inner: Condition }
  | { readonly kind: 'compare'; readonly comparator: Comparator; readonly left: Operand; readonly right: Operand }
  | { readonly kind: 'between'; readonly operand: Operand; readonly lower: Operand; readonly upper: Operand }
  | { readonly kind: 'in'; readonly operand: Operand; readonly candidates: readonly Operand[] }
  | { readonly kind: 'function'; readonly name: ConditionFunction; readonly operands: readonly Operand[] };

export type UpdateValue =
  | { readonly path: Path }
  | { readonly value: string }
  | { readonly kind: 'plus' | 'minus'; readonly left: UpdateValue; readonly right: UpdateValue }
  | { readonly kind: 'if_not_exists'; readonly path: Path; readonly otherwise: UpdateValue }
  | { readonly kind: 'list_append'; readonly left: UpdateValue; readonly right: UpdateValue };

export interface Update {
  readonly set: readonly { readonly path: Path; readonly value: UpdateValue }[];
  readonly remove: readonly Path[];
  readonly add: readonly { readonly path: Path; readonly value: string }[];
  readonly delete: readonly { readonly path: Path; readonly value: string }[];
}

/** A parsed expression and the aliases it uses, for the check that all are defined and none is idle. */
export interface Parsed<Syntax> {
  readonly syntax: Syntax;
  readonly paths: readonly Path[];
  readonly names: readonly string[];
  readonly values: readonly string[];
}
