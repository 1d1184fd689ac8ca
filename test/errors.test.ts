import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { glob } from 'node:fs/promises';
import { describe, it } from 'node:test';

describe('the error reference', () => {
  it('has a heading for each code of the source, and no other', async () => {
    const inSource = new Set<string>();
    for await (const file of glob('src/**/*.ts')) {
      if (file.includes('.test')) continue;
      const text = readFileSync(file, 'utf8');
      for (const [, code] of text.matchAll(/code: '([a-z]+\.[a-zA-Z]+)'/g)) inSource.add(code);
    }
    const reference = readFileSync('docs/errors.md', 'utf8');
    const inReference = [...reference.matchAll(/^### `([^`]+)`$/gm)].map(([, code]) => code);
    assert.deepEqual(inReference.toSorted(), [...inSource].toSorted());
  });
});

describe('README.ja.md', () => {
  it('has the headings, code and links of README.md', () => {
    const english = readFileSync('README.md', 'utf8');
    const japanese = readFileSync('README.ja.md', 'utf8');
    const levels = (text: string) =>
      [...text.replaceAll(/```[\s\S]*?```/g, '').matchAll(/^(#+) /gm)].map(([, level]) => level);
    assert.deepEqual(levels(japanese), levels(english));
    const commands = (text: string) =>
      [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, code]) =>
        code
          .split('\n')
          .map(line => line.replace(/\s*#.*$/, '').trim())
          .filter(line => line !== ''),
      );
    assert.deepEqual(commands(japanese), commands(english));
    const links = (text: string) =>
      [...text.matchAll(/\]\((?!#)([^)]+)\)/g)].map(([, target]) => target).filter(target => target !== 'README.md');
    assert.deepEqual(links(japanese).toSorted(), links(english).toSorted());
  });
});
