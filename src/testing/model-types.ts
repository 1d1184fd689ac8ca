/** The types of a model's parts, as tests use them. */
import type { z } from 'zod';
import type { AttributesOf, EntityMap } from '../app/index.ts';
import type { CommandDefinition, CommandMap, StreamMap, TelemetryMap } from '../app/model.ts';

/** Any model, whatever is in it. */
export interface ModelParts {
  readonly application: string;
  readonly telemetry: TelemetryMap;
  readonly commands: CommandMap;
  readonly entities: EntityMap;
  readonly streams: StreamMap;
}

export type ContextName<M extends ModelParts> = keyof M['telemetry'] & string;
export type TypeName<M extends ModelParts, Context extends ContextName<M>> = keyof M['telemetry'][Context] & string;
export type PayloadOf<
  M extends ModelParts,
  Context extends ContextName<M>,
  Type extends TypeName<M, Context>,
> = M['telemetry'][Context][Type] extends infer Schema extends z.ZodType ? z.input<Schema> : never;

export type CommandName<M extends ModelParts> = keyof M['commands'] & string;
/** As the device gets it, with the session it belongs to. */
export type RequestOf<D extends CommandDefinition> = z.output<D['request']> & { readonly sessionId: string };
/** What the device answers; the session is added. */
export type ResponseOf<D extends CommandDefinition> = Omit<z.input<D['response']>, 'sessionId'>;

export type StreamName<M extends ModelParts> = keyof M['streams'] & string;
export type RecordOf<M extends ModelParts, Name extends StreamName<M>> = z.input<M['streams'][Name]['record']>;

export type EntityName<M extends ModelParts> = keyof M['entities'] & string;
export type EntityOf<M extends ModelParts, Name extends EntityName<M>> = AttributesOf<M['entities'][Name]>;
