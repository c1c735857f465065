import { describe, expect, it } from 'vitest';
import { parseRedisAddress } from './redis-address.ts';
import { durabilityOf, type RedisSettings } from './redis-durability.ts';

const SAFE: RedisSettings = {
  role: 'primary',
  isLogged: true,
  fsync: 'always',
  skipsFsyncOnRewrite: false,
  evictionPolicy: 'noeviction',
  replicas: 0,
  waitReplicas: 0,
};

interface Row {
  readonly name: string;
  readonly settings: Partial<RedisSettings>;
  readonly verdict: 'durable' | 'at-risk' | 'unusable';
  readonly loses: readonly string[];
}

describe('durability of a Redis server', () => {
  it.each<Row>([
    { name: 'a log that is synced always', settings: {}, verdict: 'durable', loses: [] },
    { name: 'no log', settings: { isLogged: false }, verdict: 'at-risk', loses: ['every change since its last RDB snapshot'] },
    {
      name: 'no log, whatever the sync',
      settings: { isLogged: false, fsync: 'no' },
      verdict: 'at-risk',
      loses: ['appendonly is no'],
    },
    { name: 'a sync each second', settings: { fsync: 'everysec' }, verdict: 'at-risk', loses: ['last second or two'] },
    { name: 'no sync', settings: { fsync: 'no' }, verdict: 'at-risk', loses: ['last 30 seconds'] },
    {
      name: 'no sync while rewriting',
      settings: { skipsFsyncOnRewrite: true },
      verdict: 'at-risk',
      loses: ['while the log is rewritten'],
    },
    { name: 'a log that is kept secret', settings: { isLogged: undefined }, verdict: 'at-risk', loses: ['is unknown'] },
    { name: 'a sync that is kept secret', settings: { fsync: undefined }, verdict: 'at-risk', loses: ['is unknown'] },
    {
      name: 'a policy that is kept secret',
      settings: { evictionPolicy: undefined },
      verdict: 'at-risk',
      loses: ['does not tell maxmemory-policy'],
    },
    {
      name: 'eviction of anything',
      settings: { evictionPolicy: 'allkeys-lru' },
      verdict: 'unusable',
      loses: ['deletes any key'],
    },
    {
      name: 'eviction of what expires',
      settings: { evictionPolicy: 'volatile-ttl' },
      verdict: 'unusable',
      loses: ['keys that expire'],
    },
    { name: 'a replica', settings: { role: 'replica' }, verdict: 'at-risk', loses: ['takes no change'] },
    {
      name: 'a replica that nobody waits for',
      settings: { replicas: 1 },
      verdict: 'at-risk',
      loses: ['has 1 replica and nothing waits'],
    },
    { name: 'replicas of which one is waited for', settings: { replicas: 2, waitReplicas: 1 }, verdict: 'durable', loses: [] },
    {
      name: 'a wait for replicas that are not there',
      settings: { waitReplicas: 1 },
      verdict: 'at-risk',
      loses: ['no change will be acknowledged'],
    },
    {
      name: 'several risks at once',
      settings: { fsync: 'everysec', skipsFsyncOnRewrite: true, replicas: 2 },
      verdict: 'at-risk',
      loses: ['everysec', 'rewritten', 'failover'],
    },
  ])('$name', ({ settings, verdict, loses }) => {
    const found = durabilityOf({ ...SAFE, ...settings });
    expect(found.verdict).toBe(verdict);
    expect(found.risks.map((risk) => risk.loses)).toEqual(loses.map((text) => expect.stringContaining(text)));
    for (const { fix } of found.risks) expect(fix.length).toBeGreaterThan(10);
  });
});

describe('the address of a Redis server', () => {
  it.each([
    {
      text: 'redis://db',
      expected: { host: 'db', port: 6379, database: 0, isEncrypted: false, waitReplicas: 0, patienceMs: 2000 },
    },
    {
      text: 'rediss://u:p%40ss@db:7000/3',
      expected: { port: 7000, username: 'u', password: 'p@ss', database: 3, isEncrypted: true },
    },
    {
      text: 'redis://[::1]:6380?wait-replicas=2&timeout-ms=500',
      expected: { host: '::1', port: 6380, waitReplicas: 2, patienceMs: 500 },
    },
    {
      text: 'redis://a?also=b:1,c:2',
      expected: {
        others: [
          { host: 'b', port: 1 },
          { host: 'c', port: 2 },
        ],
      },
    },
  ])('understands $text', ({ text, expected }) => {
    expect(parseRedisAddress(text)).toMatchObject(expected);
  });

  it.each([
    'http://db',
    'redis://',
    'redis://db/x',
    'redis://db?wait=1',
    'redis://db?wait-replicas=-1',
    'redis://db?also=b',
    'db:6379',
  ])('refuses %s', (text) => {
    expect(() => parseRedisAddress(text)).toThrow(expect.objectContaining({ code: 'config.invalid' }));
  });

  it('never says the password', () => {
    expect(() => parseRedisAddress('redis://u:secret@db/x')).toThrow(/^(?!.*secret)/);
  });
});
