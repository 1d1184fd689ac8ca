// A certificate for the servers that are asked for TLS, made anew for each run: ECDSA on P-256, what AWS IoT recommends to
// devices, and the cheapest signature every peer offers.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TestAuthority } from '../src/kernel/test-certificates.ts';

export interface CertificateFiles {
  certFile: string; // PEM
  keyFile: string; // PEM, PKCS #8
}

export async function createCertificate(folder: string): Promise<CertificateFiles> {
  const { certificate, key } = await (await TestAuthority.create()).issueServer();
  const files = { certFile: join(folder, 'server.crt'), keyFile: join(folder, 'server.key') };
  writeFileSync(files.certFile, certificate);
  writeFileSync(files.keyFile, key, { mode: 0o600 });
  return files;
}
