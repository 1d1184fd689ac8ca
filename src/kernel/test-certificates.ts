/** Certificates for tests of TLS: an authority, and servers and clients it vouches for, valid or wrong in one respect. */
import type { webcrypto } from 'node:crypto';
import type * as x509Module from '@peculiar/x509';

const x509 = await importX509();

/** As `tls` takes them. */
export interface TestCertificate {
  readonly key: string;
  readonly certificate: string;
}

export interface TestCertificateOptions {
  readonly commonName?: string;
  /** Instead of one made of `commonName`: several common names, odd characters. */
  readonly subject?: x509Module.JsonName;
  readonly usage?: 'server' | 'client';
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly dnsNames?: readonly string[];
  /** RSA of 1,024 bits. */
  readonly weakKey?: boolean;
}

const ecdsa = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const rsa = { name: 'RSASSA-PKCS1-v1_5', publicExponent: new Uint8Array([1, 0, 1]) };
const rsaSha1 = { ...rsa, modulusLength: 2_048, hash: 'SHA-1' };
const rsaShort = { ...rsa, modulusLength: 1_024, hash: 'SHA-256' };
const hourMs = 3_600_000;

export class TestAuthority {
  readonly certificate: string;
  readonly #certificate: x509Module.X509Certificate;
  readonly #keys: webcrypto.CryptoKeyPair;
  readonly #algorithm: typeof ecdsa | typeof rsaSha1;
  #serial = 1;

  private constructor(
    certificate: x509Module.X509Certificate,
    keys: webcrypto.CryptoKeyPair,
    algorithm: typeof ecdsa | typeof rsaSha1,
  ) {
    this.#certificate = certificate;
    this.certificate = certificate.toString('pem');
    this.#keys = keys;
    this.#algorithm = algorithm;
  }

  /** @param options.weakHash  signs with SHA-1 */
  static async create(options: { commonName?: string; weakHash?: boolean } = {}): Promise<TestAuthority> {
    const algorithm = options.weakHash ? rsaSha1 : ecdsa;
    const keys = await generateKeys(algorithm);
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: '01',
      name: [{ CN: [options.commonName ?? 'Test authority'] }],
      notBefore: new Date(Date.now() - hourMs),
      notAfter: new Date(Date.now() + 24 * hourMs),
      keys,
      signingAlgorithm: algorithm,
      extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
    });
    return new TestAuthority(certificate, keys, algorithm);
  }

  /** For localhost and 127.0.0.1. */
  issueServer(options: TestCertificateOptions = {}): Promise<TestCertificate> {
    return this.issue({ commonName: 'localhost', usage: 'server', dnsNames: ['localhost'], ...options });
  }

  issueClient(commonName: string, options: TestCertificateOptions = {}): Promise<TestCertificate> {
    return this.issue({ commonName, usage: 'client', ...options });
  }

  async issue(options: TestCertificateOptions): Promise<TestCertificate> {
    const keys = await generateKeys(options.weakKey ? rsaShort : ecdsa);
    const names: x509Module.JsonGeneralNames = (options.dnsNames ?? []).map(value => ({ type: 'dns', value }));
    if (options.usage === 'server') names.push({ type: 'ip', value: '127.0.0.1' });
    const purpose = options.usage === 'server' ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth;
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: (++this.#serial).toString(16).padStart(4, '0'),
      subject: options.subject ?? [{ CN: [options.commonName ?? 'nobody'] }],
      issuer: this.#certificate.subject,
      notBefore: options.notBefore ?? new Date(Date.now() - hourMs),
      notAfter: options.notAfter ?? new Date(Date.now() + hourMs),
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: this.#algorithm,
      extensions: [
        new x509.ExtendedKeyUsageExtension([purpose]),
        ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
      ],
    });
    return { key: await pemOfKey(keys.privateKey), certificate: certificate.toString('pem') };
  }
}

/** Vouched for by nobody but itself. */
export async function selfSigned(commonName: string): Promise<TestCertificate> {
  const keys = await generateKeys(ecdsa);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: [{ CN: [commonName] }],
    notBefore: new Date(Date.now() - hourMs),
    notAfter: new Date(Date.now() + hourMs),
    keys,
    signingAlgorithm: ecdsa,
  });
  return { key: await pemOfKey(keys.privateKey), certificate: certificate.toString('pem') };
}

async function generateKeys(algorithm: typeof ecdsa | typeof rsaSha1): Promise<webcrypto.CryptoKeyPair> {
  return crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

async function pemOfKey(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}

/**
 * The library asks for the metadata part of `Reflect`, which is a package of its own elsewhere; of it, it uses these
 * three functions.
 */
async function importX509(): Promise<typeof x509Module> {
  const all = new WeakMap<object, Map<unknown, unknown>>();
  const getOwnMetadata = (key: unknown, target: object) => all.get(target)?.get(key);
  Object.assign(Reflect, {
    defineMetadata: (key: unknown, value: unknown, target: object) => {
      const own = all.get(target) ?? new Map<unknown, unknown>();
      all.set(target, own.set(key, value));
    },
    getMetadata: getOwnMetadata,
    getOwnMetadata,
  });
  return import('@peculiar/x509');
}
