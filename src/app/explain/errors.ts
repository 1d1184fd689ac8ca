import { ApiError } from '../errors.ts';

export const messageNotThere = (what: string) =>
  new ApiError(404, {
    code: 'explain.notFound',
    message: `The stream holds no message of ${what}.`,
    fix: 'It may be older than the stream keeps, or never have come: `mimamori ledger --thing <thing>` says what was received.',
  });

export const messageOfAnother = (thingName: string, other: string) =>
  new ApiError(404, {
    code: 'explain.ofAnother',
    message: `That message is not of ${thingName.slice(0, 200)} but of ${other.slice(0, 200)}.`,
    fix: 'Name that thing, or another message.',
  });

export const tooManyMessages = () =>
  new ApiError(400, {
    code: 'explain.tooMany',
    message: 'Too many messages came in around that time to look through them all.',
    fix: 'Give the time to the second, or the id of the message: `<shardId>:<sequence number>`, as logs and dead letters have it.',
  });
