// Model servers that are sick in one way each, all in one process: hung, resetting, trickling, oversized. Started by `sick-shadows.ts`.
import { createServer, type RequestListener } from 'node:http';

const TRICKLE_MS = 1000;

const SICKNESSES: Readonly<Record<string, RequestListener>> = {
  hangs: () => {},
  resets: (req) => req.socket.resetAndDestroy(),
  trickles: (_req, res) => {
    res.writeHead(200, { 'content-type': 'application/json', 'content-length': 100_000 });
    const timer = setInterval(() => res.write(' '), TRICKLE_MS);
    res.once('close', () => clearInterval(timer));
  },
  oversized: (_req, res) => {
    res.writeHead(200, { 'content-type': 'application/json' });
    const chunk = Buffer.alloc(65_536, ' ');
    const pour = (): void => {
      while (!res.destroyed && res.write(chunk));
      if (!res.destroyed) res.once('drain', pour);
    };
    pour();
  },
};

for (const [name, sick] of Object.entries(SICKNESSES)) {
  const server = createServer((req, res) => {
    for (const part of [req, res]) part.on('error', () => {});
    if (req.method === 'GET') res.end('{}');
    else sick(req, res);
  });
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    if (typeof address === 'object' && address !== null) console.log(`${name} http://127.0.0.1:${address.port}`);
  });
}
