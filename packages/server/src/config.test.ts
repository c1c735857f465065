import { describe, expect, it } from 'vitest';
import { dataDirectory, environmentName, readConfig } from './config.ts';
import { parseStoreAddress } from './store-address.ts';

describe('readConfig', () => {
  it('has a default for everything', () => {
    expect(readConfig({}, {})).toMatchObject({
      environment: 'production',
      host: '127.0.0.1',
      controlPort: 7070,
      gatewayPort: 7071,
    });
  });

  it('has no stratum unless told', () => {
    expect(readConfig({}, {}).stratum).toBeUndefined();
    expect(readConfig({}, { UNDERSTUDY_STRATUM: 'eu-west' }).stratum).toBe('eu-west');
  });

  it('takes flags over the environment, and the environment over defaults', () => {
    const environment = { UNDERSTUDY_CONTROL_PORT: '1000', UNDERSTUDY_GATEWAY_PORT: '2000', UNDERSTUDY_OPEN_METRICS: '1' };
    const config = readConfig({ gatewayPort: '3000', host: undefined }, environment);
    expect([config.controlPort, config.gatewayPort, config.openMetrics, config.host]).toEqual([1000, 3000, true, '127.0.0.1']);
  });

  it.each([
    { name: 'a port that is none', flags: { controlPort: 'http' }, says: 'controlPort' },
    { name: 'a port beyond the last', flags: { controlPort: '70000' }, says: 'controlPort' },
    { name: 'a switch that is neither on nor off', flags: { openMetrics: 'maybe' }, says: 'openMetrics' },
    { name: 'a name that could be a path', flags: { environment: '../x' }, says: 'environment' },
    { name: 'a stratum that could be a path', flags: { stratum: '../x' }, says: 'stratum' },
  ])('refuses $name and says which setting it is', ({ flags, says }) => {
    expect(() => readConfig(flags, {})).toThrow(says);
  });
});

describe('environmentName', () => {
  it('is the setting in capitals', () => {
    expect(environmentName('allowAnonymousPredict')).toBe('UNDERSTUDY_ALLOW_ANONYMOUS_PREDICT');
  });
});

describe('the store', () => {
  it('is a directory of SQLite, or an address of PostgreSQL or Redis', () => {
    expect(parseStoreAddress('sqlite:/var/lib/understudy')).toEqual({ kind: 'sqlite', directory: '/var/lib/understudy' });
    const url = 'postgres://ada:secret@db:5432/understudy';
    expect(parseStoreAddress(url)).toEqual({ kind: 'postgres', url });
    expect(readConfig({ store: url }, {}).store).toBe(url);
    const redis = 'rediss://ada:secret@db:6379/1?wait-replicas=1';
    expect(parseStoreAddress(redis)).toEqual({ kind: 'redis', url: redis });
  });

  it.each([
    { store: 'mysql://localhost/x', says: '"mysql:" is unknown' },
    { store: './data', says: 'no scheme' },
    { store: 'sqlite:', says: 'no directory' },
    { store: 'postgres:understudy', says: 'postgres://' },
    { store: 'redis:localhost', says: 'redis://' },
    { store: 'valkey://localhost', says: 'redis://' },
    { store: 'nothing', says: 'sqlite:DIRECTORY' },
  ])('refuses $store when the settings are read, and says what to write', ({ store, says }) => {
    expect(() => readConfig({ store }, {})).toThrow(says);
    expect(() => readConfig({ store }, {})).toThrow('sqlite:DIRECTORY');
  });

  it('never shows a password', () => {
    expect(() => parseStoreAddress('mysql://ada:secret@db/x')).toThrow('mysql://ada@db/x');
  });
});

describe('dataDirectory', () => {
  it('is beside a SQLite store unless told', () => {
    expect(dataDirectory({ store: 'sqlite:/srv/a' })).toBe('/srv/a');
    expect(dataDirectory({ store: 'sqlite:/srv/a', data: '/srv/b' })).toBe('/srv/b');
    expect(dataDirectory({ store: 'postgres://db/x', data: '/srv/b' })).toBe('/srv/b');
    expect(dataDirectory({ store: 'postgres://db/x' })).toMatch(/understudy-data$/);
  });
});
