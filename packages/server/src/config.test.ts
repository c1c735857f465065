import { describe, expect, it } from 'vitest';
import { environmentName, readConfig, storeDirectory } from './config.ts';

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

describe('storeDirectory', () => {
  it('is the directory of a sqlite address', () => {
    expect(storeDirectory('sqlite:/var/lib/understudy')).toBe('/var/lib/understudy');
  });

  it.each(['postgres://localhost/x', './data', 'sqlite:', ''])('refuses %j and says what to write', (store) => {
    expect(() => storeDirectory(store)).toThrow('sqlite:DIRECTORY');
  });
});
