import { describe, it } from 'node:test';
import { readCorpus, replay } from './corpus.ts';

describe('what fuzzing found', () => {
  for (const entry of readCorpus()) {
    it(`is not found again: ${entry.name} (seed ${entry.seed}, ${entry.index})`, { todo: entry.todo ?? false }, () =>
      replay(entry),
    );
  }
});
