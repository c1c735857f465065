import { isAppError } from '@understudy/core/errors';
import { describe, expect, it } from 'vitest';
import { checkedUpstream, type OwnListeners, ownListeners } from './upstream-address.ts';

const own: OwnListeners = { ports: [80, 7070, 7071], hosts: new Set(['192.168.1.5', 'fd00::5', 'control-1']) };

describe('the address of a model server', () => {
  it.each([
    { url: 'http://10.0.0.7:8080', kept: 'http://10.0.0.7:8080' },
    { url: 'http://127.0.0.1:8080/', kept: 'http://127.0.0.1:8080' },
    { url: 'http://localhost:5001', kept: 'http://localhost:5001' },
    { url: 'http://[::1]:8080', kept: 'http://[::1]:8080' },
    { url: 'http://192.168.1.9:7071', kept: 'http://192.168.1.9:7071' },
    { url: 'https://models.example.com/fraud/', kept: 'https://models.example.com/fraud' },
    { url: 'http://triton.ml.svc.cluster.local:8000', kept: 'http://triton.ml.svc.cluster.local:8000' },
    { url: 'http://100.64.0.1:8000', kept: 'http://100.64.0.1:8000' },
    { url: 'http://[fd00::7]:8000', kept: 'http://[fd00::7]:8000' },
    { url: 'http://8.8.8.8', kept: 'http://8.8.8.8' },
    { url: 'http://[64:ff9b::0808:0808]:8000', kept: 'http://[64:ff9b::808:808]:8000' },
  ])('may be $url', ({ url, kept }) => {
    expect(checkedUpstream(url, own)).toBe(kept);
  });

  it.each([
    { why: 'link-local', urls: ['http://169.254.169.254/latest', 'http://169.254.0.1', 'https://169.254.169.254:8443'] },
    { why: 'link-local in decimal', urls: ['http://2852039166', 'http://2852039166/'] },
    { why: 'link-local in hexadecimal', urls: ['http://0xa9fea9fe', 'http://0xa9.0xfe.0xa9.0xfe'] },
    { why: 'link-local in octal', urls: ['http://0251.0376.0251.0376', 'http://0251.254.169.254'] },
    { why: 'link-local with a dot', urls: ['http://169.254.169.254.'] },
    { why: 'link-local in full-width digits', urls: ['http://①⑥⑨.②⑤④.①⑥⑨.②⑤④', 'http://169。254。169。254'] },
    {
      why: 'link-local inside IPv6',
      urls: ['http://[::ffff:169.254.169.254]', 'http://[::ffff:a9fe:a9fe]', 'http://[::169.254.169.254]'],
    },
    { why: 'link-local behind NAT64', urls: ['http://[64:ff9b::169.254.169.254]', 'http://[64:ff9b:1::a9fe:a9fe]'] },
    { why: 'link-local behind 6to4', urls: ['http://[2002:a9fe:a9fe::1]', 'http://[2002:a9fe:a9fe::]'] },
    { why: 'link-local behind Teredo', urls: ['http://[2001:0:1:2:3:4:5601:5601]'] },
    { why: 'link-local behind ISATAP', urls: ['http://[2001:db8::5efe:a9fe:a9fe]'] },
    { why: 'link-local IPv6', urls: ['http://[fe80::1]', 'http://[febf::1]:8080'] },
    { why: 'a metadata service', urls: ['http://[fd00:ec2::254]', 'http://100.100.100.200', 'http://168.63.129.16'] },
    {
      why: 'a metadata name',
      urls: ['http://metadata.google.internal', 'http://METADATA.google.internal./', 'http://metadata/'],
    },
    {
      why: 'unspecified',
      urls: ['http://0.0.0.0:8080', 'http://0', 'http://0.1.2.3', 'http://[::]:8080', 'http://[::ffff:0.0.0.0]'],
    },
    {
      why: 'multicast or broadcast',
      urls: ['http://224.0.0.1', 'http://239.255.255.255', 'http://255.255.255.255', 'http://[ff02::1]'],
    },
    {
      why: 'another scheme',
      urls: [
        'file:///etc/passwd',
        'gopher://10.0.0.1',
        'ftp://10.0.0.1',
        'data:text/plain,x',
        'ws://10.0.0.1',
        'unix:/run/x.sock',
      ],
    },
    { why: 'with a user', urls: ['http://user@10.0.0.1', 'http://user:secret@10.0.0.1', 'http://10.0.0.1@169.254.169.254'] },
    {
      why: 'with white space or a backslash',
      urls: ['http://10.0.0.1\n', 'http://10.0\t.0.1', 'http:\\\\10.0.0.1', ' http://10.0.0.1', 'http://10.0.0.1/\u0000'],
    },
    { why: 'with a query or a fragment', urls: ['http://10.0.0.1/?a=1', 'http://10.0.0.1/#a'] },
    { why: 'not an address', urls: ['', 'http://', '10.0.0.1:8080', 'http://[fe80::1%25eth0]', 'http://10.0.0.1:99999'] },
    {
      why: 'Understudy itself',
      urls: [
        'http://127.0.0.1:7070',
        'http://127.9.9.9:7071',
        'http://localhost:7070',
        'http://LOCALHOST.:7070',
        'http://x.localhost:7070',
        'http://[::1]:7071',
        'http://[::ffff:127.0.0.1]:7071',
        'http://192.168.1.5:7071',
        'http://[fd00::5]:7071',
        'http://control-1:7070',
        'http://2130706433:7070',
        'http://localhost',
      ],
    },
  ])('may not be $why', ({ urls }) => {
    for (const url of urls) {
      let thrown: unknown;
      try {
        checkedUpstream(url, own);
      } catch (error) {
        thrown = error;
      }
      expect([url, isAppError(thrown, 'upstream.forbidden_address')]).toEqual([url, true]);
    }
  });

  it('says what is wrong with it', () => {
    expect(() => checkedUpstream('http://[2002:a9fe:a9fe::1]/', own)).toThrow(
      'cannot use "http://[2002:a9fe:a9fe::1]/" as the address of a model server: 2002:a9fe:a9fe::1 leads to 169.254.169.254, which is link-local',
    );
  });
});

describe('own listeners', () => {
  it('are on every address of this machine', () => {
    const { ports, hosts } = ownListeners([7070]);
    expect(ports).toEqual([7070]);
    expect(hosts.has('127.0.0.1')).toBe(true);
  });
});
