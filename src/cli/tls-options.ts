import { type Command, Option } from 'commander';
import { MimamoriError } from '../kernel/errors.ts';
import type { TlsFiles } from '../local/tls-files.ts';

/** The options of TLS, which `start` and `broker` share; called as in mosquitto.conf. */
export interface TlsFileOptions {
  readonly certfile?: string;
  readonly keyfile?: string;
  readonly cafile?: string;
  readonly requireCertificate?: true;
}

export function addTlsFileOptions(command: Command): Command {
  return command
    .addOption(new Option('--certfile <file>', "the server's certificate and those above it, PEM"))
    .addOption(new Option('--keyfile <file>', 'its private key, PEM, without a passphrase'))
    .addOption(
      new Option(
        '--cafile <file>',
        'PEM; asks clients over TLS for a certificate that one of these authorities has signed',
      ),
    )
    .addOption(new Option('--require-certificate', 'over TLS nobody gets in without such a certificate'));
}

/** What does not fit together; `ports` are the options that open a port with TLS. */
export function checkTlsOptions(options: TlsFileOptions, wantsTls: boolean, ports: string): TlsFiles | undefined {
  const { certfile, keyfile, cafile, requireCertificate = false } = options;
  if ((certfile === undefined) !== (keyfile === undefined)) {
    throw optionsNotValid('A certificate and its key belong together.', 'Give both --certfile and --keyfile.');
  }
  if (requireCertificate && cafile === undefined) {
    throw optionsNotValid('Client certificates are checked against an authority.', 'Add --cafile.');
  }
  if (wantsTls && certfile === undefined) {
    throw optionsNotValid('TLS needs a certificate.', 'Add --certfile and --keyfile.');
  }
  if (!wantsTls && (certfile !== undefined || cafile !== undefined)) {
    throw optionsNotValid('Certificates are for TLS, and no port has it.', `Add ${ports}.`);
  }
  return certfile && keyfile ? { certfile, keyfile, cafile, requireCertificate } : undefined;
}

export const optionsNotValid = (message: string, fix: string) =>
  new MimamoriError({ code: 'broker.optionsNotValid', message, fix });
