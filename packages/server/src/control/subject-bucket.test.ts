import { expect, it } from 'vitest';
import { openTestControl } from './test-control.ts';
import { subjectBucket } from './subject-bucket.ts';

// By `int(hashlib.sha256(subject.encode()).hexdigest()[:8], 16) % 100_000` in Python.
it.each([
  { subject: 'user-42', bucket: 14083 },
  { subject: '', bucket: 12610 },
  { subject: 'användare-1', bucket: 48317 },
  { subject: '👩‍👩‍👧', bucket: 6271 },
  { subject: '42', bucket: 56628 },
])('is what other languages compute for $subject', ({ subject, bucket }) => {
  expect(subjectBucket(subject)).toBe(bucket);
});

it('divides subjects evenly', () => {
  const low = Array.from({ length: 20_000 }, (_, id) => subjectBucket(`user-${id}`)).filter((bucket) => bucket < 10_000).length;
  expect(low).toBeGreaterThan(1800);
  expect(low).toBeLessThan(2200);
});

it('is answered to who may read', async () => {
  await using control = await openTestControl();
  const ask = async (query: string, token = control.tokenFor('read')): Promise<{ status: number; body: unknown }> => {
    const response = await control.api.inject({
      method: 'GET',
      url: `/api/v1/bucket${query}`,
      headers: { authorization: `Bearer ${token}` },
    });
    return { status: response.statusCode, body: response.json() };
  };
  expect(await ask('?subject=anv%C3%A4ndare-1')).toEqual({
    status: 200,
    body: { subject: 'användare-1', bucket: subjectBucket('användare-1') },
  });
  expect((await ask('')).status).toBe(400);
  expect((await ask('?subject=a', control.tokenFor('predict'))).status).toBe(403);
});
