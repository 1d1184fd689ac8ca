/** What the functions of a running app do and use; starts a stopped one again, and calls one. */
import { Command, Option } from 'commander';
import type { FunctionsAnswer, InvokeAnswer } from '../http/index.ts';
import { functionsPath } from '../http/operator/paths.ts';
import { MimamoriError } from '../kernel/errors.ts';
import { functionLimits } from '../platform/functions/index.ts';
import { functionsText } from './functions-text.ts';
import { askOperator, type OperatorTarget, urlOption } from './operator.ts';
import { dataOption, givenOptions, jsonOption } from './options.ts';
import { endWithReader, print } from './output.ts';

interface FunctionsOptions extends OperatorTarget {
  readonly json?: true;
}

export function functionsCommand(): Command {
  return asking(new Command('functions'))
    .description('Print what the functions of a running app do and use, and what size they should have on Lambda.')
    .addCommand(invokeCommand())
    .addCommand(resetCommand())
    .addHelpText('after', '\nExamples:\n  npx mimamori functions\n  npx mimamori functions reset whenPersonDetected')
    .action(async (options: FunctionsOptions) => {
      endWithReader();
      const answer = await askOperator<FunctionsAnswer>(options, functionsPath);
      if (!options.json) return print(functionsText(answer));
      for (const report of answer.functions) await print(JSON.stringify(report));
    });
}

function invokeCommand(): Command {
  return asking(new Command('invoke'))
    .description('Run a function that is called by its name, or one of a schedule, and print what it answers.')
    .argument('<name>')
    .addOption(new Option('--input <json>', 'what it is given').argParser(json))
    .addHelpText('after', `\nExample:\n  npx mimamori functions invoke report --input '{"day":"2026-01-31"}'`)
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = givenOptions<FunctionsOptions & { readonly input?: unknown }>(command);
      const signal = AbortSignal.timeout(functionLimits.timeoutMsMax + answerMs);
      const body = { input: options.input };
      const { output } = await askOperator<InvokeAnswer>(options, pathOf(name, 'invoke'), {
        method: 'POST',
        body,
        signal,
      });
      if (options.json) await print(JSON.stringify({ output }));
      else await print(output === undefined ? 'It has run.' : JSON.stringify(output, undefined, 2));
    });
}

function resetCommand(): Command {
  return asking(new Command('reset'))
    .description('Let a function run again that its budget has stopped, with a whole budget.')
    .argument('<name>')
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = givenOptions<FunctionsOptions>(command);
      const answer = await askOperator<{ reset: string }>(options, pathOf(name, 'reset'), { method: 'POST' });
      await print(options.json ? JSON.stringify(answer) : `${name} may run.`);
    });
}

function asking(command: Command): Command {
  return command.addOption(dataOption()).addOption(urlOption()).addOption(jsonOption());
}

const answerMs = 10_000; // ours: for the way there and back

function pathOf(name: string, action: 'invoke' | 'reset'): string {
  return `${functionsPath}/${encodeURIComponent(name)}/${action}`;
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new MimamoriError({
      code: 'function.inputNotValid',
      message: 'The input is not JSON.',
      fix: `Quote it for your shell, e.g. --input '{"value":1}'.`,
      cause,
    });
  }
}
