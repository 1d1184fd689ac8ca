import type { Aliases } from './aliases.ts';
import type { Parsed } from './syntax.ts';

/** What texts were compiled to for the names their aliases stood for: requests with one text nearly always mean the same. */
export class Compiled<Program> {
  readonly #known = new WeakMap<Parsed<unknown>, { readonly names: readonly string[]; readonly program: Program }>();

  find(parsed: Parsed<unknown>, aliases: Aliases): Program | undefined {
    const known = this.#known.get(parsed);
    return known !== undefined && aliases.mean(known.names, parsed) ? known.program : undefined;
  }

  /** To be called when all names are known to be defined. */
  keep(parsed: Parsed<unknown>, aliases: Aliases, program: Program): void {
    this.#known.set(parsed, { names: aliases.namesOf(parsed), program });
  }
}
