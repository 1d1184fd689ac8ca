/** What the endpoint serves: operations by name. A table engine is one (`tableService`). */
export interface Service {
  /** The operation that an `X-Amz-Target` names, e.g. `DynamoDB_20120810.PutItem`. */
  readonly operations: ReadonlyMap<string, Operation>;
}

export interface Operation {
  readonly name: string;
  /** Rejects with a `TableError` for whatever the caller did wrong. */
  readonly call: (input: Record<string, unknown>) => Promise<object>;
}
