export { FileAccess, type FileAccessOptions } from './file-access.ts';
export { accessLimits } from './limits.ts';
export { hashPassword, passwordLine } from './password-file.ts';
export type {
  Access,
  Admission,
  AdmissionRefusal,
  ClientCertificate,
  ConnectAttempt,
  Identity,
  PublishVerdict,
} from './port.ts';
export { ThingAccess } from './thing-access.ts';
