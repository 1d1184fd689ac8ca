import { MimamoriError } from '../../kernel/errors.ts';
import { ApiError } from '../errors.ts';

export const deadLettersFull = (consumer: string) =>
  new MimamoriError({
    code: 'letter.full',
    message: `${consumer} has as many dead letters as are kept; it waits, and handles nothing more until there is room.`,
    fix: 'Correct what fails and run `mimamori dead-letters redrive`, or `export` them and then `delete`.',
    retryable: true,
  });

export const letterTooLarge = (bytes: number, bytesMax: number) =>
  new ApiError(413, {
    code: 'letter.tooLarge',
    message: `A payload of ${bytes} bytes is over the ${bytesMax} that a dead letter can hold.`,
    fix: 'Send less in place of it.',
  });

export const letterNotFound = (id: string) =>
  new ApiError(404, {
    code: 'letter.notFound',
    message: `There is no dead letter ${id.slice(0, 100)}: it was redriven or deleted, or never was.`,
    fix: '`mimamori dead-letters list` shows those there are.',
  });

export const letterNotEditable = (id: string) =>
  new ApiError(409, {
    code: 'letter.notEditable',
    message: `${id} is a change of a table, which has happened as it says.`,
    fix: 'Correct the item itself: that is a change of its own. Then delete the letter, or redrive it as it is.',
  });

export const letterInHand = (id: string) =>
  new ApiError(409, {
    code: 'letter.inHand',
    message: `${id} is being redriven at this moment.`,
    fix: 'Wait until that redrive is over, or stop it.',
    retryable: true,
  });

export const redriveRunning = (redriveId: string) =>
  new ApiError(409, {
    code: 'redrive.running',
    message: `A redrive is under way: ${redriveId}.`,
    fix: 'Wait until it is over, or stop it; letters are redriven by one at a time, which keeps their order.',
    retryable: true,
  });

export const redriveNotFound = (redriveId: string) =>
  new ApiError(404, {
    code: 'redrive.notFound',
    message: `There is no redrive ${redriveId.slice(0, 100)}; the last ones are remembered.`,
    fix: 'Look at what letters there are: `mimamori dead-letters count`.',
  });

export const redrivenTooOften = (redrives: number) =>
  new MimamoriError({
    code: 'redrive.tooOften',
    message: `It has failed in ${redrives} redrives; another would go round in a circle.`,
    fix: 'Correct the function, or edit the letter, which starts the count anew; or give --redrives-max.',
  });

export const redriveInterrupted = (tries: number) =>
  new MimamoriError({
    code: 'redrive.interrupted',
    message: `The app ended ${tries} times while this letter alone was redriven.`,
    fix: 'Find the endless loop, the leak or the exit that it leads to before it is redriven again.',
  });

export const letterNotTaken = (consumer: string) =>
  new MimamoriError({
    code: 'letter.notTaken',
    message: `${consumer} passes this event by, so it was not handled.`,
    fix: 'Redrive it to a consumer or function whose events are of this kind.',
  });

export const letterNotWhole = (id: string) =>
  new MimamoriError({
    code: 'letter.notWhole',
    message: `${id} was kept by an earlier release without what it was about, because that was too large.`,
    fix: 'See its keys for which item it was; then delete it.',
  });

export const payloadNotJson = () =>
  new ApiError(400, {
    code: 'letter.payloadNotJson',
    message: 'The event of this letter is JSON, and the payload given in its place is not.',
    fix: 'Give JSON in well-formed Unicode.',
  });

export const letterHandlerMissing = (consumer: string) =>
  new MimamoriError({
    code: 'letter.noHandler',
    message: `The app has no ${consumer.slice(0, 100)} that could be given a dead letter.`,
    fix: 'Redrive it with --to and the name of one it has; `mimamori dead-letters count` shows who has letters.',
  });
