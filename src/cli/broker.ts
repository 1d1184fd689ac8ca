import { Command, Option } from 'commander';
import { MimamoriError } from '../kernel/errors.ts';
import { type Broker, startBroker } from '../local/broker.ts';
import { jsonOption, port, positive } from './options.ts';
import { reporterFor } from './report.ts';
import { stopOnSignal } from './signals.ts';

interface Options {
  readonly host: string;
  readonly port: number;
  readonly tlsPort?: number;
  readonly wsPort?: number;
  readonly wssPort?: number;
  readonly certfile?: string;
  readonly keyfile?: string;
  readonly cafile?: string;
  readonly requireCertificate?: true;
  readonly useIdentityAsUsername?: true;
  readonly allowAnonymous?: true;
  readonly passwordFile?: string;
  readonly aclFile?: string;
  readonly data: string;
  readonly memory?: true;
  readonly limits: 'generous' | 'aws';
  readonly maxQueuedMessages?: number;
  readonly maxInflightMessages?: number;
  readonly maxKeepalive?: number;
  readonly persistentClientExpiration?: number;
  readonly proxyProtocol?: true;
  readonly verbose?: true;
  readonly json?: true;
}

/** Names of flags are those of mosquitto.conf, with dashes. */
export function brokerCommand(): Command {
  return new Command('broker')
    .description('Run the MQTT gateway alone, as a general broker in place of Mosquitto: MQTT 3.1.1 and 5, durable.')
    .addOption(
      new Option('--host <address>', 'listen here; 0.0.0.0 for the whole network')
        .default('127.0.0.1')
        .env('MIMAMORI_HOST'),
    )
    .addOption(
      new Option('-p, --port <n>', 'MQTT over TCP; 0 picks a free one')
        .default(1883)
        .argParser(port)
        .env('MIMAMORI_MQTT_PORT'),
    )
    .addOption(
      new Option('--tls-port <n>', 'MQTT over TLS, usually 8883; needs --certfile and --keyfile').argParser(port),
    )
    .addOption(new Option('--ws-port <n>', 'MQTT over WebSocket, path /mqtt').argParser(port))
    .addOption(new Option('--wss-port <n>', 'MQTT over WebSocket over TLS').argParser(port))
    .option('--certfile <file>', "the server's certificate chain, PEM")
    .option('--keyfile <file>', 'its key, PEM')
    .option('--cafile <file>', 'authorities of client certificates, PEM: asks clients for a certificate')
    .option('--require-certificate', 'over TLS no client gets in without a valid certificate')
    .option('--use-identity-as-username', "the certificate's common name is the user name")
    .option('--allow-anonymous', 'let clients in that name no user')
    .option('--password-file <file>', 'users, in the format of mosquitto_passwd')
    .option('--acl-file <file>', 'who may read and write what, in the format of Mosquitto')
    .addOption(
      new Option('--data <dir>', 'where sessions and retained messages are stored')
        .default('./data')
        .env('MIMAMORI_DATA'),
    )
    .option('--memory', 'store nothing: sessions end with the process')
    .addOption(
      new Option('--limits <profile>', "aws: AWS IoT Core's quotas and refusals")
        .choices(['generous', 'aws'])
        .default('generous'),
    )
    .addOption(new Option('--max-queued-messages <n>', 'per session').argParser(positive))
    .addOption(new Option('--max-inflight-messages <n>', 'to one client, QoS 1 and 2').argParser(positive))
    .addOption(new Option('--max-keepalive <seconds>', 'longer ones, and none, become this').argParser(positive))
    .addOption(
      new Option('--persistent-client-expiration <seconds>', 'how long sessions are kept at most').argParser(positive),
    )
    .option('--proxy-protocol', 'a PROXY header (v1 or v2) comes first on every connection')
    .option('-v, --verbose', 'log what clients are refused')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
SIGHUP reads the password file, the ACL file and the certificates again. Ctrl-C stops cleanly.

Examples:
  mimamori broker --allow-anonymous
  mimamori broker --password-file passwd --acl-file acl --tls-port 8883 --certfile server.crt --keyfile server.key
  mimamori broker --allow-anonymous --memory --port 0 --json`,
    )
    .action(broker);
}

async function broker(options: Options): Promise<void> {
  checkOptions(options);
  const reporter = reporterFor({ json: options.json === true });
  const { certfile, keyfile, cafile, requireCertificate = false } = options;
  const running = await startBroker({
    host: options.host,
    port: options.port,
    tlsPort: options.tlsPort,
    wsPort: options.wsPort,
    wssPort: options.wssPort,
    tls: certfile && keyfile ? { certfile, keyfile, cafile, requireCertificate } : undefined,
    proxyProtocol: options.proxyProtocol === true,
    dataDirectory: options.memory ? undefined : options.data,
    allowAnonymous: options.allowAnonymous === true,
    passwordFile: options.passwordFile,
    aclFile: options.aclFile,
    useIdentityAsUsername: options.useIdentityAsUsername === true,
    limits: options.limits,
    limitOverrides: overridesOf(options),
    logLevel: options.verbose ? 'warn' : 'error',
    onFailure: error => {
      reporter.failed(error);
      process.exit(1); // Recovery is what a start does: whoever keeps us running starts us again.
    },
  });
  stopOnSignal(async () => {
    reporter.stopping();
    await running.close();
    reporter.stopped();
  });
  process.on('SIGHUP', () => void reload(running, reporter));
  reporter.started(running.urls);
}

async function reload(running: Broker, reporter: ReturnType<typeof reporterFor>): Promise<void> {
  try {
    await running.reload();
    reporter.note('Passwords, rights and certificates were read again.');
  } catch (error) {
    reporter.failed(error);
    reporter.note('What was in force before stays in force.');
  }
}

function overridesOf(options: Options) {
  const { maxQueuedMessages, maxInflightMessages, maxKeepalive, persistentClientExpiration } = options;
  return {
    ...(maxQueuedMessages && { queuedMessagesMax: maxQueuedMessages }),
    ...(maxInflightMessages && { inflightMax: maxInflightMessages }),
    ...(maxKeepalive && { keepAliveSecondsMax: maxKeepalive }),
    ...(persistentClientExpiration && {
      sessionExpirySecondsMax: persistentClientExpiration,
      sessionExpirySecondsDefault: persistentClientExpiration,
    }),
  };
}

function checkOptions(options: Options): void {
  const { allowAnonymous, passwordFile, useIdentityAsUsername, requireCertificate, cafile, certfile, keyfile } =
    options;
  if (!allowAnonymous && passwordFile === undefined && !useIdentityAsUsername) {
    throw optionsNotValid('Nobody could connect.', 'Add --password-file, or --allow-anonymous to let everybody in.');
  }
  if ((certfile === undefined) !== (keyfile === undefined)) {
    throw optionsNotValid('A certificate and its key belong together.', 'Give both --certfile and --keyfile.');
  }
  const wantsTls = options.tlsPort !== undefined || options.wssPort !== undefined;
  if (wantsTls && certfile === undefined) {
    throw optionsNotValid('TLS needs a certificate.', 'Add --certfile and --keyfile.');
  }
  if ((requireCertificate || useIdentityAsUsername) && cafile === undefined) {
    throw optionsNotValid('Client certificates are checked against an authority.', 'Add --cafile.');
  }
}

const optionsNotValid = (message: string, fix: string) =>
  new MimamoriError({ code: 'broker.optionsNotValid', message, fix });
