/** Leaves the tests of the Redis store out, loudly, where whoever runs them says so. */
import { describe } from 'vitest';

export const isRedisSkipped = process.env['UNDERSTUDY_SKIP_REDIS'] === '1';
if (isRedisSkipped) process.stderr.write('UNDERSTUDY_SKIP_REDIS=1: the Redis store is NOT tested in this run\n');

/** `describe`, unless UNDERSTUDY_SKIP_REDIS is 1. Without it a machine without redis-server fails. */
export const describeRedis = describe.skipIf(isRedisSkipped);
