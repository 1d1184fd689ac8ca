// A self-signed certificate for the servers that are asked for TLS, made anew for each run.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface CertificateFiles {
  certFile: string; // PEM
  keyFile: string; // PEM, PKCS #8
}

/** ECDSA on P-256: what AWS IoT recommends to devices, and the cheapest signature every peer offers. */
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const dayMs = 86_400_000;

export async function createCertificate(folder: string): Promise<CertificateFiles> {
  provideReflectMetadata();
  const x509 = await import('@peculiar/x509');
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: 'CN=localhost',
    notBefore: new Date(Date.now() - dayMs),
    notAfter: new Date(Date.now() + dayMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }])],
  });
  const files = { certFile: join(folder, 'server.crt'), keyFile: join(folder, 'server.key') };
  const key = await crypto.subtle.exportKey('pkcs8', keys.privateKey);
  writeFileSync(files.certFile, certificate.toString('pem'));
  writeFileSync(files.keyFile, x509.PemConverter.encode(key, 'PRIVATE KEY'), { mode: 0o600 });
  return files;
}

/**
 * The library's dependency container wants the metadata functions of an old decorator proposal and refuses to load
 * without; these are the three it calls. A polyfill package would be a dependency for the sake of these lines.
 */
function provideReflectMetadata(): void {
  if ('getMetadata' in Reflect) return;
  const metadata = new WeakMap<object, Map<unknown, unknown>>();
  const getMetadata = (key: unknown, target: object) => metadata.get(target)?.get(key);
  const defineMetadata = (key: unknown, value: unknown, target: object) => {
    metadata.set(target, (metadata.get(target) ?? new Map()).set(key, value));
  };
  Object.assign(Reflect, { getMetadata, getOwnMetadata: getMetadata, defineMetadata });
}
