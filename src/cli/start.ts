import { Worker } from 'node:worker_threads';
import { Command, Option } from 'commander';
import type { Announcement } from '../app/index.ts';
import { httpLimits } from '../http/limits.ts';
import { loadSigningKey, TokenIssuer } from '../http/tokens.ts';
import { systemClock } from '../kernel/clock.ts';
import { codeOf, messageOf } from '../kernel/errors.ts';
import { systemFiles } from '../kernel/files.ts';
import { systemRandom } from '../kernel/random.ts';
import {
  type Backend,
  type BackendOptions,
  findAppModule,
  findSimulation,
  loadApp,
  moduleBeside,
  startBackend,
} from '../local/index.ts';
import {
  addEndpointCredentialOptions,
  credentialSourcesOf,
  dynamoDbPortDefault,
  type EndpointCredentialOptions,
} from './endpoint-options.ts';
import { kinesisPortDefault } from './kinesis.ts';
import { dataOption, jsonOption, port, shardCount } from './options.ts';
import { type Reporter, reporterFor } from './report.ts';
import { listenForHangups, stopOnSignal } from './signals.ts';
import { addTlsFileOptions, checkTlsOptions, type TlsFileOptions } from './tls-options.ts';

/** The household that the simulation lives in; its page opens without a token. */
const simulatedUser = 'demo-household';

interface StartOptions extends TlsFileOptions, EndpointCredentialOptions {
  readonly data: string;
  readonly host: string;
  readonly httpPort: number;
  readonly mqttPort: number;
  readonly iotPort?: number;
  readonly tlsPort?: number;
  readonly iotTlsPort?: number;
  readonly limits: 'generous' | 'aws';
  readonly strict?: true;
  readonly shards?: number;
  readonly capacity: boolean;
  readonly trace?: true;
  readonly openMetrics?: true;
  readonly otlp?: string;
  readonly alarmWebhook?: string;
  readonly redact?: readonly string[];
  readonly dynamodb: boolean;
  readonly dynamodbPort?: number;
  readonly kinesis: boolean;
  readonly kinesisPort?: number;
  readonly simulate: boolean;
  readonly json?: true;
}

export function startCommand(): Command {
  const command = new Command('start')
    .description('Run an app: the MQTT gateway, the HTTP API and the functions, in one process.')
    .argument('[app]', 'the app: a folder with app.ts, or a file', process.env.MIMAMORI_APP ?? 'apps/speaker')
    .addOption(dataOption())
    .addOption(
      new Option('--host <address>', 'listen here; 0.0.0.0 for the whole network')
        .default('127.0.0.1')
        .env('MIMAMORI_HOST'),
    )
    .addOption(
      new Option('--http-port <n>', '0 picks a free one').default(8080).argParser(port).env('MIMAMORI_HTTP_PORT'),
    )
    .addOption(
      new Option('--mqtt-port <n>', '0 picks a free one').default(1883).argParser(port).env('MIMAMORI_MQTT_PORT'),
    )
    .addOption(
      new Option('--iot-port <n>', 'HTTP publish, and MQTT over WebSocket at /mqtt; default 8083, 0 picks a free one')
        .argParser(port)
        .env('MIMAMORI_IOT_PORT'),
    )
    .addOption(
      new Option('--tls-port <n>', 'MQTT over TLS, usually 8883; needs --certfile and --keyfile')
        .argParser(port)
        .env('MIMAMORI_TLS_PORT'),
    )
    .addOption(
      new Option(
        '--iot-tls-port <n>',
        'HTTP publish and WebSocket over TLS, usually 8443; needs --certfile and --keyfile',
      )
        .argParser(port)
        .env('MIMAMORI_IOT_TLS_PORT'),
    )
    .addOption(
      new Option(
        '--limits <profile>',
        'aws: devices may do what AWS IoT Core allows, and the table is throttled as DynamoDB is',
      )
        .choices(['generous', 'aws'])
        .default('generous'),
    )
    .addOption(
      new Option(
        '--shards <n>',
        "shards of the stream of devices' messages, when it is made; 1, unless more is said",
      ).argParser(shardCount),
    )
    .option('--strict', 'lists lag behind writes by 50 ms, as they may on AWS; tests always have it so')
    .addOption(new Option('--no-capacity', 'do not add up what is used of the table (MIMAMORI_CAPACITY=0)'))
    .option('--trace', 'log what each invocation calls and uses, and tell it in the answers of routes')
    .addOption(
      new Option('--open-metrics', 'give /metrics to this machine without a token').env('MIMAMORI_OPEN_METRICS'),
    )
    .addOption(
      new Option('--otlp <url>', 'send metrics there, once a minute, as OTLP over HTTP').env(
        'OTEL_EXPORTER_OTLP_ENDPOINT',
      ),
    )
    .addOption(
      new Option('--alarm-webhook <url>', 'POST there what is raised and what is over').env('MIMAMORI_ALARM_WEBHOOK'),
    )
    .option('--redact <names...>', 'further names of facts that logs must not show')
    .addOption(
      new Option(
        '--dynamodb-port <n>',
        `the table as DynamoDB, for tools; default ${dynamoDbPortDefault}, or a free one if that is taken; 0 picks a free one`,
      )
        .argParser(port)
        .env('MIMAMORI_DYNAMODB_PORT'),
    )
    .addOption(new Option('--no-dynamodb', 'do not serve the table as DynamoDB (MIMAMORI_DYNAMODB=0)'))
    .addOption(
      new Option(
        '--kinesis-port <n>',
        `what devices send, and streams of your own, as Kinesis; default ${kinesisPortDefault}, or a free one if that is taken; 0 picks a free one`,
      )
        .argParser(port)
        .env('MIMAMORI_KINESIS_PORT'),
    )
    .addOption(new Option('--no-kinesis', 'do not serve streams as Kinesis (MIMAMORI_KINESIS=0)'))
    .addOption(new Option('--no-simulate', "do not run the app's simulated devices (MIMAMORI_SIMULATE=0)"))
    .addOption(jsonOption());
  addEndpointCredentialOptions(command);
  return addTlsFileOptions(command)
    .addHelpText(
      'after',
      '\nThings may show a certificate signed for their name instead of a password. SIGHUP reads certificates again.\nThe table and the streams are served to this machine only, and with credentials wherever --host says.',
    )
    .action((app: string, options: StartOptions) => start(app, options));
}

async function start(appPath: string, options: StartOptions): Promise<void> {
  const { tlsPort, iotTlsPort } = options;
  const wantsTls = tlsPort !== undefined || iotTlsPort !== undefined;
  const tls = checkTlsOptions(options, wantsTls, '--tls-port or --iot-tls-port');
  const hangups = listenForHangups();
  const reporter = reporterFor({ json: options.json === true });
  const appUrl = findAppModule(appPath);
  const simulationUrl = options.simulate && process.env.MIMAMORI_SIMULATE !== '0' ? findSimulation(appUrl) : undefined;
  const backend = await startBackend({
    appUrl,
    dataDirectory: options.data,
    host: options.host,
    httpPort: options.httpPort,
    mqttPort: options.mqttPort,
    // Whoever wants a free port for MQTT does not expect a fixed one beside it.
    iotPort: options.iotPort ?? (options.mqttPort === 0 ? 0 : iotPortDefault),
    dynamoDb: tableEndpointOf(options),
    kinesis: streamEndpointOf(options),
    limits: options.limits,
    strict: options.strict,
    shards: options.shards,
    accountsForCapacity: options.capacity && process.env.MIMAMORI_CAPACITY !== '0',
    traces: options.trace,
    operations: { redactKeys: options.redact, otlpEndpoint: options.otlp, opensMetrics: options.openMetrics },
    alarmWebhook: options.alarmWebhook,
    onAlarm: change => reporter.alarm(change),
    tls: tls && { ...tls, mqttPort: tlsPort, iotPort: iotTlsPort },
    demoUser: simulationUrl && simulatedUser,
    onAnnounced: (_audience, announcement) => reporter.announce(announcement),
    onFailure: error => {
      reporter.failed(error);
      process.exit(1); // Recovery is what a start does: whoever keeps us running starts us again.
    },
  });
  let simulation: Worker | undefined;
  const summary = setInterval(async () => reporter.summary(await backend.gateway.counters()), summaryMs);
  // Before anybody is told that we run: whoever reads the first line may send a signal at once.
  stopOnSignal(async () => {
    clearInterval(summary);
    reporter.stopping();
    await simulation?.terminate();
    await backend.close();
    reporter.stopped();
  });
  const { httpUrl: http, mqttUrl: mqtt, iotUrl: iot, webSocketUrl: ws, dynamoDbUrl } = backend;
  const table: Record<string, string> = dynamoDbUrl === undefined ? {} : { dynamodb: dynamoDbUrl };
  const streams: Record<string, string> = backend.kinesisUrl === undefined ? {} : { kinesis: backend.kinesisUrl };
  reporter.started({
    http,
    mqtt,
    iot,
    ws,
    ...backend.tlsUrls,
    ...table,
    ...streams,
    page: `${http}/`,
    docs: `${http}/docs`,
  });
  hangups.handle(() => void reloadCertificates(backend, reporter));
  if (simulationUrl) simulation = await simulate(simulationUrl, appUrl, options, backend, reporter);
}

function tableEndpointOf(options: StartOptions): BackendOptions['dynamoDb'] {
  if (!options.dynamodb || process.env.MIMAMORI_DYNAMODB === '0') return undefined;
  return endpointOf(options, { asked: options.dynamodbPort, usual: dynamoDbPortDefault });
}

function streamEndpointOf(options: StartOptions): BackendOptions['kinesis'] {
  if (!options.kinesis || process.env.MIMAMORI_KINESIS === '0') return undefined;
  return endpointOf(options, { asked: options.kinesisPort, usual: kinesisPortDefault });
}

function endpointOf(options: StartOptions, { asked, usual }: { asked: number | undefined; usual: number }) {
  const credentials = credentialSourcesOf(options);
  const hasCredentials = Object.values(credentials).some(source => source !== undefined);
  return {
    host: hasCredentials ? options.host : '127.0.0.1',
    // Whoever wants a free port for HTTP does not expect a fixed one beside it.
    port: asked ?? (options.httpPort === 0 ? 0 : usual),
    orFreePort: asked === undefined,
    credentials,
    region: options.region,
  };
}

async function reloadCertificates(backend: Backend, reporter: Reporter): Promise<void> {
  try {
    await backend.replaceCertificates();
    reporter.note('The certificates were read again.');
  } catch (error) {
    reporter.failed(error);
    reporter.note('The certificates in force before stay in force.');
  }
}

/** Where MQTT clients look for WebSocket first (EMQX and MQTTX). 8081, next to the API, is the bundler of React Native. */
const iotPortDefault = 8083;

const summaryMs = 10_000;

/** The simulated devices live on a thread of their own and come in by the front doors, MQTT and HTTP. */
async function simulate(
  simulationUrl: URL,
  appUrl: URL,
  options: StartOptions,
  backend: Backend,
  reporter: Reporter,
): Promise<Worker> {
  const app = await loadApp(appUrl.href);
  const key = await loadSigningKey(systemFiles, options.data, systemRandom);
  const issuer = new TokenIssuer({ key, application: app.model.application, clock: systemClock });
  const token = await issuer.issue({ user: simulatedUser, readOnly: false }, httpLimits.tokenLifetimeSecondsDefault);
  const workerData = {
    simulationUrl: simulationUrl.href,
    httpUrl: backend.httpUrl,
    mqttPort: backend.mqttPort,
    host: new URL(backend.httpUrl).hostname,
    token,
    dataDirectory: options.data,
  };
  const worker = new Worker(moduleBeside('simulation-thread'), { workerData });
  worker.on('message', (announcement: Announcement) => reporter.announce(announcement));
  worker.on('error', error => {
    reporter.note(`The simulation has stopped: ${messageOf(error)} [${codeOf(error)}]. The backend goes on.`);
  });
  return worker;
}
