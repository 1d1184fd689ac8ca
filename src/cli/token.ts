import { Command, Option } from 'commander';
import { httpLimits } from '../http/limits.ts';
import { loadSigningKey, TokenIssuer } from '../http/tokens.ts';
import { systemClock } from '../kernel/clock.ts';
import { systemFiles } from '../kernel/files.ts';
import { systemRandom } from '../kernel/random.ts';
import { findAppModule, loadApp } from '../local/app-module.ts';
import { appOption, dataOption, jsonOption, positive } from './options.ts';

/** Prints a bearer token of the local issuer. Works whether or not the backend is running. */
export function tokenCommand(): Command {
  return new Command('token')
    .description('Print a bearer token for the HTTP API.')
    .requiredOption('--user <name>', 'whom the token speaks for')
    .addOption(
      new Option('--expires <seconds>', 'how long it is valid')
        .default(httpLimits.tokenLifetimeSecondsDefault)
        .argParser(positive),
    )
    .option('--read-only', 'the token may look but not change anything')
    .addOption(appOption())
    .addOption(dataOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExample:\n  curl -H "Authorization: Bearer $(npx mimamori token --user alice)" localhost:8080/v1/speakers',
    )
    .action(async options => {
      const app = await loadApp(findAppModule(options.app).href);
      const key = await loadSigningKey(systemFiles, options.data, systemRandom);
      const issuer = new TokenIssuer({ key, application: app.model.application, clock: systemClock });
      const token = await issuer.issue({ user: options.user, readOnly: options.readOnly === true }, options.expires);
      console.log(
        options.json ? JSON.stringify({ user: options.user, token, expiresInSeconds: options.expires }) : token,
      );
    });
}
