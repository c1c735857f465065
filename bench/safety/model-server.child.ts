// A process of its own for a model server with limited capacity, so that the sender's work never slows it down: PORT WORKERS SERVICE-MS.
import { startModelServer } from './model-server.ts';

const [port = 0, workers = 1, serviceMs = 1] = process.argv.slice(2).map(Number);
await startModelServer({ workers, serviceMs }, port);
