import { MimamoriError, messageOf } from './errors.ts';

export const keyNotUsable = (cause: unknown) =>
  new MimamoriError({
    code: 'tls.keyNotUsable',
    message: `The private key of the TLS listener cannot be read: ${messageOf(cause)}.`,
    fix: 'Give the private key in PEM form and without a passphrase; `openssl pkey -in KEY -out NEW` writes it so.',
    cause,
  });

export const certificateNotUsable = (cause: unknown) =>
  new MimamoriError({
    code: 'tls.certificateNotUsable',
    message: `The certificate of the TLS listener cannot be used: ${messageOf(cause)}.`,
    fix: "Give the certificate in PEM form, the server's first; `openssl x509 -in CERTIFICATE -text` shows what it is.",
    cause,
  });

export const keyDoesNotMatch = () =>
  new MimamoriError({
    code: 'tls.keyDoesNotMatch',
    message: 'The private key of the TLS listener does not belong to its certificate.',
    fix: "Give the key that the certificate was made for, and the server's own certificate first in its file.",
  });

export const caNotUsable = (cause: unknown) =>
  new MimamoriError({
    code: 'tls.caNotUsable',
    message: `The certificates of the clients' authorities cannot be read: ${messageOf(cause)}.`,
    fix: 'Give one or more certificates in PEM form, each from BEGIN CERTIFICATE to END CERTIFICATE.',
    cause,
  });

export const caMissing = () =>
  new MimamoriError({
    code: 'tls.caMissing',
    message: 'Clients are to show a certificate, and no authority is named that theirs must come from.',
    fix: "Give the certificate of the authority that signs the devices' certificates, or do not require them.",
  });
