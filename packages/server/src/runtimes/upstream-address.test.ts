import { expect, it } from 'vitest';
import { isForbiddenAddress } from './upstream-address.ts';

it.each([
  '169.254.169.254',
  '169.254.0.1',
  '100.100.100.200',
  '0.0.0.0',
  '0.1.2.3',
  '224.0.0.1',
  '239.255.255.250',
  '255.255.255.255',
  '::',
  'fe80::1',
  'fe80::1%eth0',
  'febf::1',
  'ff02::1',
  'fd00:ec2::254',
  '::ffff:169.254.169.254',
  '::ffff:a9fe:a9fe',
  '64:ff9b::169.254.169.254',
  '2002:a9fe:a9fe::1',
])('denies %s', (address) => {
  expect(isForbiddenAddress(address)).toBe(true);
});

it.each([
  '127.0.0.1',
  '10.0.0.1',
  '192.168.1.1',
  '172.16.0.1',
  '100.64.0.1',
  '8.8.8.8',
  '::1',
  'fd00::1',
  '2001:db8::1',
  '::ffff:10.0.0.1',
])('lets model servers be at %s', (address) => {
  expect(isForbiddenAddress(address)).toBe(false);
});
