/** What a member of a request may be: Kinesis' types and constraints, named as its errors name them. */

export interface Constraints {
  readonly isRequired?: boolean;
  /** It may be missing when this other member is there. */
  readonly unless?: string;
  /** A pattern for all of it, as errors tell it. */
  readonly pattern?: string;
  /** What is looked for in its place, where the pattern could take long to fail. */
  readonly checkedAs?: RegExp;
  readonly oneOf?: readonly string[];
  /** Of numbers: what they may be. */
  readonly min?: number;
  readonly max?: number;
  /** Of text: characters; of bytes: bytes; of lists and maps: members. */
  readonly lengthMin?: number;
  readonly lengthMax?: number;
}

export type Shape = Constraints &
  (
    | { readonly type: 'String' | 'Integer' | 'Boolean' | 'Timestamp' | 'Blob' }
    | { readonly type: 'List'; readonly member: Shape; readonly memberName?: string }
    | { readonly type: 'Map'; readonly key: Constraints; readonly value: Constraints }
    | { readonly type: 'Structure'; readonly members: Members }
  );

/** In the order in which their errors are told. */
export type Members = Readonly<Record<string, Shape>>;

type Options = Omit<Constraints, 'type'>;

export const text = (options: Options = {}): Shape => ({ type: 'String', ...options });
export const integer = (options: Options = {}): Shape => ({ type: 'Integer', ...options });
export const list = (member: Shape, options: Options & { memberName?: string } = {}): Shape => ({
  type: 'List',
  member,
  ...options,
});
export const structure = (members: Members, options: Options = {}): Shape => ({
  type: 'Structure',
  members,
  ...options,
});
export const required = (shape: Shape): Shape => ({ ...shape, isRequired: true });
