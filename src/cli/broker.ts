import { Command, InvalidArgumentError, Option } from 'commander';
import { brokerLimits } from '../iot/mqtt/index.ts';
import { type Broker, startBroker } from '../local/broker.ts';
import type { TlsFiles } from '../local/tls-files.ts';
import { jsonOption, port, positive } from './options.ts';
import { reporterFor } from './report.ts';
import { listenForHangups, stopOnSignal } from './signals.ts';
import { addTlsFileOptions, checkTlsOptions, optionsNotValid, type TlsFileOptions } from './tls-options.ts';

interface Options extends TlsFileOptions {
  readonly host: string;
  readonly port?: number;
  readonly tlsPort?: number;
  readonly wsPort?: number;
  readonly wssPort?: number;
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

/** Where Mosquitto listens when nobody says otherwise. */
const usualPort = 1883;

/** Names of flags are those of mosquitto.conf, with dashes. */
export function brokerCommand(): Command {
  const command = new Command('broker')
    .description('Run the MQTT gateway alone, as a general broker in place of Mosquitto: MQTT 3.1.1 and 5, durable.')
    .addOption(
      new Option('--host <address>', 'listen here; 0.0.0.0 for the whole network')
        .default('127.0.0.1')
        .env('MIMAMORI_HOST'),
    )
    .addOption(
      new Option('-p, --port <n>', `MQTT over TCP; ${usualPort} when no port is given at all; 0 picks a free one`)
        .env('MIMAMORI_MQTT_PORT')
        .argParser(port),
    )
    .addOption(
      new Option('--tls-port <n>', 'MQTT over TLS, usually 8883; needs --certfile and --keyfile').argParser(port),
    )
    .addOption(new Option('--ws-port <n>', 'MQTT over WebSocket, path /mqtt').argParser(port))
    .addOption(
      new Option('--wss-port <n>', 'MQTT over WebSocket over TLS; needs --certfile and --keyfile').argParser(port),
    );
  addTlsFileOptions(command)
    .option('--use-identity-as-username', "who shows one needs no password: the user is the certificate's common name")
    .option('--allow-anonymous', 'let clients in that name no user')
    .option('--password-file <file>', 'users and passwords, as `mimamori passwd` and mosquitto_passwd write them')
    .option('--acl-file <file>', 'who may read and write which topics, in the format of Mosquitto; else all may all')
    .addOption(
      new Option('--data <dir>', 'where sessions and retained messages are stored')
        .default('./data')
        .env('MIMAMORI_DATA'),
    )
    .option('--memory', 'store nothing: sessions and retained messages end with the process')
    .addOption(
      new Option('--limits <profile>', 'what clients may do; aws: the quotas and refusals of AWS IoT Core')
        .choices(['generous', 'aws'])
        .default('generous'),
    )
    .addOption(
      new Option(
        '--max-queued-messages <n>',
        `QoS 1 and 2 messages that wait for one session, else ${brokerLimits.queuedMessagesMax}; further ones are dropped`,
      ).argParser(positive),
    )
    .addOption(
      new Option(
        '--max-inflight-messages <n>',
        `QoS 1 and 2 messages sent to one client and not acknowledged, else ${brokerLimits.inflightMax}`,
      ).argParser(upTo(packetIdsMax)),
    )
    .addOption(
      new Option('--max-keepalive <seconds>', 'a longer keep alive, and none, becomes this').argParser(
        upTo(keepAliveSecondsMax),
      ),
    )
    .addOption(
      new Option(
        '--persistent-client-expiration <seconds>',
        `how long a session is kept without its client, else ${brokerLimits.sessionExpirySecondsMax} (a week)`,
      ).argParser(upTo(expirySecondsMax)),
    )
    .option(
      '--proxy-protocol',
      'every connection begins with a PROXY header (v1 or v2); for ports only the proxy reaches',
    )
    .option('-v, --verbose', 'log what clients are refused')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
SIGHUP reads the password file, the ACL file and the certificates again; a bad one changes nothing. Users who are
removed or have a new password are disconnected. Ctrl-C and SIGTERM stop cleanly.

Examples:
  mimamori broker --allow-anonymous
  mimamori broker --password-file passwd --acl-file acl --tls-port 8883 --certfile server.crt --keyfile server.key
  mimamori broker --allow-anonymous --memory --port 0 --json`,
    );
  return command.action((options: Options) => broker(options, command.getOptionValueSource('data') === 'cli'));
}

const packetIdsMax = 65_535; // [MQTT311 2.3.1] [MQTT5 2.2.1]
const keepAliveSecondsMax = 65_535; // Two bytes [MQTT311 3.1.2.10] [MQTT5 3.2.2.3.14].
const expirySecondsMax = 0xffff_fffe; // Four bytes, of which the largest number means for ever [MQTT5 3.1.2.11.2].

function upTo(max: number): (text: string) => number {
  return text => {
    const number = positive(text);
    if (number > max) throw new InvalidArgumentError(`Give a whole number from 1 to ${max}.`);
    return number;
  };
}

async function broker(options: Options, isDataGiven: boolean): Promise<void> {
  const tls = checkOptions(options, isDataGiven);
  const reporter = reporterFor({ json: options.json === true });
  const hangups = listenForHangups();
  const running = await startBroker({
    host: options.host,
    ports: portsOf(options),
    tls,
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
  reporter.started(running.urls);
  hangups.handle(() => void reload(running, reporter));
}

/** By scheme. Plain TCP is not opened beside other ports unless it is asked for: TLS alone means TLS alone. */
function portsOf({ port, tlsPort, wsPort, wssPort }: Options): Readonly<Record<string, number | undefined>> {
  const isAnyGiven = [port, tlsPort, wsPort, wssPort].some(given => given !== undefined);
  return { mqtt: isAnyGiven ? port : usualPort, mqtts: tlsPort, ws: wsPort, wss: wssPort };
}

async function reload(running: Broker, reporter: ReturnType<typeof reporterFor>): Promise<void> {
  for (const { what, error } of await running.reload()) {
    if (error === undefined) reporter.note(`The ${what} were read again.`);
    else {
      reporter.failed(error);
      reporter.note(`The ${what} in force before stay in force.`);
    }
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

/** What does not fit together, and what would silently do nothing. */
function checkOptions(options: Options, isDataGiven: boolean): TlsFiles | undefined {
  const { allowAnonymous, passwordFile, useIdentityAsUsername, cafile } = options;
  if (!allowAnonymous && passwordFile === undefined && !useIdentityAsUsername) {
    throw optionsNotValid('Nobody could connect.', 'Add --password-file, or --allow-anonymous to let everybody in.');
  }
  if (useIdentityAsUsername && cafile === undefined) {
    throw optionsNotValid('Client certificates are checked against an authority.', 'Add --cafile.');
  }
  const wantsTls = options.tlsPort !== undefined || options.wssPort !== undefined;
  const tls = checkTlsOptions(options, wantsTls, '--tls-port or --wss-port');
  if (options.memory && isDataGiven) {
    throw optionsNotValid('With --memory nothing is stored.', 'Leave out --data or --memory.');
  }
  for (const [name, text] of Object.entries(options)) {
    // An empty host would mean the whole network; the others name nothing either.
    if (text === '') throw optionsNotValid(`${flagOf(name)} is empty.`, 'Give it a value, or leave it out.');
  }
  const ports = Object.values(portsOf(options)).filter(port => port !== undefined && port !== 0);
  const twice = ports.find((port, at) => ports.indexOf(port) !== at);
  if (twice !== undefined) throw optionsNotValid(`Port ${twice} is given twice.`, 'Give each door a port of its own.');
  return tls;
}

/** As it is written on the command line. */
function flagOf(name: string): string {
  return `--${name.replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`;
}
