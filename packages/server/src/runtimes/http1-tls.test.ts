import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, getCACertificates, setDefaultCACertificates, type Server, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Http1Pool, openHttp1Pool } from './http1-pool.ts';

const before = getCACertificates();
const folder = mkdtempSync(join(tmpdir(), 'understudy-tls-'));
const certificates: string[] = [];
const servers: Server[] = [];
const pools: Http1Pool[] = [];
const accepted: TLSSocket[] = [];
/** Ports of a server with a certificate for `localhost` and 127.0.0.1, and of one with a certificate for another name. */
const ports = { right: 0, wrong: 0 };

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** An echo with a certificate of its own for these names. */
async function serve(names: string): Promise<number> {
  const [keyFile, certFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const subject = ['-subj', '/CN=test', '-addext', `subjectAltName=${names}`];
  execFileSync('openssl', ['req', '-x509', ...curve, '-days', '1', ...subject, '-keyout', keyFile, '-out', certFile], {
    stdio: 'ignore',
  });
  const cert = readFileSync(certFile, 'utf8');
  certificates.push(cert);
  const server = createServer({ key: readFileSync(keyFile), cert }, (socket) => {
    accepted.push(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      const body = chunk.toString('latin1').split('\r\n\r\n')[1] ?? '';
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    });
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  if (!hasOpenssl()) return;
  ports.right = await serve('DNS:localhost,IP:127.0.0.1');
  ports.wrong = await serve('DNS:elsewhere.example');
  setDefaultCACertificates([...before, ...certificates]);
});

afterEach(() => {
  for (const pool of pools.splice(0)) pool.close();
  for (const socket of accepted.splice(0)) socket.destroy();
});

afterAll(() => {
  setDefaultCACertificates(before);
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true, force: true });
});

function openPool(host: string, port = ports.right): Http1Pool {
  const options = { connections: 2, connectTimeoutMs: 5000, idleTimeoutMs: 5000 };
  const pool = openHttp1Pool(new URL(`https://${host}:${port}`), options);
  pools.push(pool);
  return pool;
}

async function echo(pool: Http1Pool, body: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let text = '';
  pool.send(
    { method: 'POST', path: '/', headers: [], body: Buffer.from(body) },
    {
      onStart: () => {},
      onData: (chunk) => {
        text += chunk.toString();
      },
      onEnd: () => resolve(text),
      onError: reject,
    },
  );
  const answer = await promise;
  for (let turn = 0; turn < 3; turn++) await new Promise((done) => setImmediate(done));
  return answer;
}

describe.skipIf(!hasOpenssl())('https', () => {
  it.each(['localhost', '127.0.0.1'])('speaks to %s, whose certificate is known, on one connection', async (host) => {
    const pool = openPool(host);
    for (const body of ['a', 'b', 'c'.repeat(10_000)]) expect(await echo(pool, body)).toBe(body);
    expect(accepted).toHaveLength(1);
    expect(accepted[0]?.servername).toBe(host === 'localhost' ? 'localhost' : false);
    expect(accepted[0]?.alpnProtocol).toBe(false);
  });

  it('does not speak to a server whose certificate nobody knows', async () => {
    setDefaultCACertificates(before);
    try {
      await expect(echo(openPool('localhost'), 'secret')).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    } finally {
      setDefaultCACertificates([...before, ...certificates]);
    }
  });

  it.each(['localhost', '127.0.0.1'])('does not speak to a server that does not prove to be %s', async (host) => {
    await expect(echo(openPool(host, ports.wrong), 'secret')).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  });
});
