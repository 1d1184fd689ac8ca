/** Aliases for names and values that an expression made here uses, none of which the request has already. */
export class FreshAliases {
  readonly #names: Record<string, unknown>;
  readonly #values: Record<string, unknown>;
  #count = 0;
  #made = false;

  constructor(names: unknown, values: unknown) {
    this.#names = { ...(names as object) }; // a cast: undefined, or a map whose types were checked
    this.#values = { ...(values as object) }; // a cast: as above
  }

  name(name: string): string {
    return this.#add('#', this.#names, name);
  }

  value(value: unknown): string {
    return this.#add(':', this.#values, value);
  }

  /** Short, as an expression with them is text that is read, and kept. */
  #add(sign: string, aliases: Record<string, unknown>, meaning: unknown): string {
    this.#made = true;
    for (;;) {
      const alias = `${sign}${(this.#count++).toString(36)}`;
      if (Object.hasOwn(aliases, alias)) continue;
      aliases[alias] = meaning;
      return alias;
    }
  }

  /** The parameters of the request that go with the expressions; none that would be empty. */
  parameters(): Record<string, unknown> {
    if (!this.#made) return {};
    const parameters: Record<string, unknown> = {};
    if (Object.keys(this.#names).length > 0) parameters.ExpressionAttributeNames = this.#names;
    if (Object.keys(this.#values).length > 0) parameters.ExpressionAttributeValues = this.#values;
    return parameters;
  }
}
