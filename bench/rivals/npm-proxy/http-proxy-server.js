// The `http-proxy` rival: `node http-proxy-server.js PORT UPSTREAM_ORIGIN`, set up as its own documentation advises
// for throughput, that is with a keep-alive agent.
import http from 'node:http';
import httpProxy from 'http-proxy';

const [port, target] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true, maxSockets: 256 });
const proxy = httpProxy.createProxyServer({ target, agent });
proxy.on('error', (error, _request, response) => {
  if (!response.headersSent) response.writeHead(502);
  response.end(error.message);
});
http.createServer((request, response) => proxy.web(request, response)).listen(Number(port), '127.0.0.1');
