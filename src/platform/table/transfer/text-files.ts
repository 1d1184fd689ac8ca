/** Whole files and appended ones over the disk that is handed in. */
import { type File, type Files, joinPath } from '../../../kernel/files.ts';

/** Replaces the file; safe once it resolves, except for its name: `syncDirectory` is the caller's. */
export async function writeWhole(files: Files, filePath: string, text: string): Promise<void> {
  const file = await files.open(filePath, { create: true });
  try {
    await file.truncate(0);
    await file.write(Buffer.from(text, 'utf8'), 0);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** undefined: there is none. Throws RangeError when it is longer than `bytesMax`. */
export async function readWhole(
  files: Files,
  directory: string,
  name: string,
  bytesMax: number,
): Promise<Buffer | undefined> {
  if (!(await files.list(directory)).includes(name)) return undefined;
  const file = await files.open(joinPath(directory, name), { readOnly: true });
  try {
    const size = await file.size();
    if (size > bytesMax) throw new RangeError(`${name} has ${size} bytes; ${bytesMax} are taken.`);
    const bytes = Buffer.alloc(size);
    return bytes.subarray(0, await file.read(bytes, 0));
  } finally {
    await file.close();
  }
}

/** A file of lines that only grows; a line that a crash has torn is not there. */
export class LineLog {
  readonly #file: File;
  #end: number;

  private constructor(file: File, end: number) {
    this.#file = file;
    this.#end = end;
  }

  /** @returns the log, and the whole lines in it */
  static async open(
    files: Files,
    directory: string,
    name: string,
    bytesMax: number,
  ): Promise<{ log: LineLog; lines: string[] }> {
    const held = (await readWhole(files, directory, name, bytesMax)) ?? Buffer.alloc(0);
    const end = held.lastIndexOf(0x0a) + 1;
    const file = await files.open(joinPath(directory, name), { create: true });
    await file.truncate(end);
    const lines = held.subarray(0, end).toString('utf8').split('\n').slice(0, -1);
    return { log: new LineLog(file, end), lines };
  }

  /** Safe once it resolves. */
  async append(line: object): Promise<void> {
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`, 'utf8');
    await this.#file.write(bytes, this.#end);
    await this.#file.sync();
    this.#end += bytes.length;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
