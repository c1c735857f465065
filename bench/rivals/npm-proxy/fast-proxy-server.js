// The `fast-proxy` rival: `node fast-proxy-server.js PORT UPSTREAM_ORIGIN http|undici`. It runs in both of its modes,
// because its documentation calls the undici mode the faster one and the default mode is what most people use.
import http from 'node:http';
import fastProxy from 'fast-proxy';

const [port, base, mode] = process.argv.slice(2);
const { proxy } = fastProxy({ base, undici: mode === 'undici' ? { connections: 100, pipelining: 1 } : false });
http.createServer((request, response) => proxy(request, response, request.url, {})).listen(Number(port), '127.0.0.1');
