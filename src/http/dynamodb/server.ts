import { MimamoriError, messageOf } from '../../kernel/errors.ts';
import type { DoorOptions } from '../aws-json/door.ts';
import { type EndpointListener, type ListenOptions, listenEndpoint } from '../aws-json/listener.ts';
import { type DynamoDbOptions, DynamoDbProtocol } from './endpoint.ts';

export type ListenDynamoDbOptions = DynamoDbOptions & ListenOptions & Omit<DoorOptions, 'protocol'>;

/** Throws `dynamodb.credentialsRequired`, `dynamodb.portInUse` and `dynamodb.hostNotUsable`. */
export function listenDynamoDb(options: ListenDynamoDbOptions): Promise<EndpointListener> {
  const problems = { credentialsRequired, portInUse, hostNotUsable };
  return listenEndpoint({ ...options, protocol: new DynamoDbProtocol(options) }, problems);
}

const credentialsRequired = (host: string) =>
  new MimamoriError({
    code: 'dynamodb.credentialsRequired',
    message: `${host} can be reached by others, and without credentials they could read and change every table.`,
    fix: 'Give credentials (--access-key and --secret-key, or --credentials FILE), or listen at 127.0.0.1.',
  });

const portInUse = (port: number, cause: unknown) =>
  new MimamoriError({
    code: 'dynamodb.portInUse',
    message: `The DynamoDB port ${port} cannot be opened.`,
    fix: 'Stop whatever has it (DynamoDB Local uses 8000 too), choose another port, or 0 for a free one.',
    cause,
  });

const hostNotUsable = (host: string, cause: unknown) =>
  new MimamoriError({
    code: 'dynamodb.hostNotUsable',
    message: `${host} is not an address to listen at: ${messageOf(cause)}`,
    fix: 'Give --host an address of this machine: 127.0.0.1 for itself only, 0.0.0.0 for all of its networks.',
    cause,
  });
