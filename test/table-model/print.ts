// Trees as expression strings, every name and value behind an alias of its own.
import type { Condition, Operand, Path, SetValue, Update } from './expressions.ts';
import type { Wire } from './values.ts';

export interface Printed {
  ExpressionAttributeNames?: Record<string, string>;
  ExpressionAttributeValues?: Record<string, Wire>;
}

export class Printer {
  readonly #names = new Map<string, string>();
  readonly #values: Wire[] = [];

  /** Aliases of everything printed so far; absent where there are none, as DynamoDB wants it. */
  aliases(): Printed {
    const names = [...this.#names].map(([name, alias]) => [alias, name]);
    const values = this.#values.map((value, index) => [`:v${index}`, value]);
    return {
      ...(names.length > 0 ? { ExpressionAttributeNames: Object.fromEntries(names) } : {}),
      ...(values.length > 0 ? { ExpressionAttributeValues: Object.fromEntries(values) } : {}),
    };
  }

  path(path: Path): string {
    return path
      .map((step, depth) => (typeof step === 'number' ? `[${step}]` : `${depth > 0 ? '.' : ''}${this.#name(step)}`))
      .join('');
  }

  value(value: Wire): string {
    this.#values.push(value);
    return `:v${this.#values.length - 1}`;
  }

  condition(condition: Condition): string {
    switch (condition.kind) {
      case 'and':
      case 'or':
        return `(${this.condition(condition.left)}) ${condition.kind.toUpperCase()} (${this.condition(condition.right)})`;
      case 'not':
        return `NOT (${this.condition(condition.inner)})`;
      case 'compare':
        return `${this.#operand(condition.left)} ${condition.comparator} ${this.#operand(condition.right)}`;
      case 'between': {
        const [operand, lower, upper] = [condition.operand, condition.lower, condition.upper].map(each =>
          this.#operand(each),
        );
        return `${operand} BETWEEN ${lower} AND ${upper}`;
      }
      case 'in':
        return `${this.#operand(condition.operand)} IN (${condition.candidates.map(each => this.#operand(each)).join(', ')})`;
      case 'exists':
        return `attribute_exists(${this.path(condition.path)})`;
      case 'notExists':
        return `attribute_not_exists(${this.path(condition.path)})`;
      case 'type':
        return `attribute_type(${this.path(condition.path)}, ${this.value({ S: condition.tag })})`;
      case 'beginsWith':
        return `begins_with(${this.path(condition.path)}, ${this.#operand(condition.operand)})`;
      case 'contains':
        return `contains(${this.path(condition.path)}, ${this.#operand(condition.operand)})`;
    }
  }

  update({ set, remove, add, delete: gone }: Update): string {
    const sections = [
      ['SET', set.map(({ path, value }) => `${this.path(path)} = ${this.#setValue(value)}`)],
      ['REMOVE', remove.map(path => this.path(path))],
      ['ADD', add.map(({ path, value }) => `${this.path(path)} ${this.value(value)}`)],
      ['DELETE', gone.map(({ path, value }) => `${this.path(path)} ${this.value(value)}`)],
    ] as const;
    return sections.flatMap(([word, actions]) => (actions.length > 0 ? `${word} ${actions.join(', ')}` : [])).join(' ');
  }

  #name(name: string): string {
    const alias = this.#names.get(name) ?? `#n${this.#names.size}`;
    this.#names.set(name, alias);
    return alias;
  }

  #operand(operand: Operand): string {
    if ('value' in operand) return this.value(operand.value);
    return 'path' in operand ? this.path(operand.path) : `size(${this.path(operand.size)})`;
  }

  #setValue(value: SetValue): string {
    if ('value' in value) return this.value(value.value);
    if (!('kind' in value)) return this.path(value.path);
    switch (value.kind) {
      case 'plus':
        return `${this.#setValue(value.left)} + ${this.#setValue(value.right)}`;
      case 'minus':
        return `${this.#setValue(value.left)} - ${this.#setValue(value.right)}`;
      case 'ifNotExists':
        return `if_not_exists(${this.path(value.path)}, ${this.#setValue(value.otherwise)})`;
      case 'append':
        return `list_append(${this.#setValue(value.left)}, ${this.#setValue(value.right)})`;
    }
  }
}
