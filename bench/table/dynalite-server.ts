// dynalite on LevelDB: `node dynalite-server.ts <folder> [sync]` prints its port. As it comes it does not wait for the
// disk; with `sync` every write of LevelDB does, which is what an answer of ours promises.
import { ClassicLevel } from 'classic-level';
import dynalite from 'dynalite';

const [path, mode] = process.argv.slice(2);
if (mode === 'sync') {
  const prototype = ClassicLevel.prototype as unknown as Record<'_put' | '_del' | '_batch', WriteMethod>;
  for (const name of ['_put', '_del', '_batch'] as const) {
    const write = prototype[name];
    // The options come last.
    prototype[name] = function (this: unknown, ...args: unknown[]) {
      return write.apply(this, [...args.slice(0, -1), { ...Object(args.at(-1)), sync: true }]);
    };
  }
}
type WriteMethod = (...args: unknown[]) => unknown;

const server = dynalite({ path, createTableMs: 0, updateTableMs: 0, deleteTableMs: 0 });
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object') process.stdout.write(`${address?.port}\n`);
});
