// dynalite on LevelDB, as it comes: `node dynalite-server.ts <folder>` prints its port.
import dynalite from 'dynalite';

const [path] = process.argv.slice(2);
const server = dynalite({ path, createTableMs: 0, updateTableMs: 0, deleteTableMs: 0 });
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object') process.stdout.write(`${address?.port}\n`);
});
