import { MimamoriError } from '../../../kernel/errors.ts';
import type { SequenceNumber } from '../../../platform/stream/index.ts';

export const journalNotReadable = (sequenceNumber: SequenceNumber, reason: string, cause?: unknown) =>
  new MimamoriError({
    code: 'journal.notReadable',
    message: `The sessions cannot be restored from record ${sequenceNumber} of their journal: ${reason}.`,
    fix: 'Start the version that wrote it, or restore the folder from a backup. Moving it away gives up all sessions.',
    cause,
  });
