/**
 * The Lua scripts of the Redis store. Each is one atomic change. Documents, journal entries and answers pass through them
 * as text that they never look into, and revisions as text that they never calculate with.
 */
import { scriptOf } from './redis-link.ts';

/**
 * Writes a commit when the head is still the one it was made on. Answers 1 when this commit is stored, now or by an
 * earlier run, and 0 when another commit took its revision: then it never will be.
 *
 * KEYS: head, journal, idempotency, its ages, windows, decisions, then documents and history for each write.
 * ARGV: expected head, new head, commit id, revision, time, channel, message, number of fields of the entry; these fields
 * and their values; idempotency key and record; window and decision; then id and value of each write. A value begins with
 * "=" when there is one and is empty otherwise.
 */
export const COMMIT_SCRIPT = scriptOf(`
local id = ARGV[4] .. '-0'
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then
  local there = redis.call('XRANGE', KEYS[2], id, id)[1]
  if there and there[2][1] == 'commit' and there[2][2] == ARGV[3] then return 1 end
  return 0
end
local at = 9 + tonumber(ARGV[8])
local function given(text) return string.sub(text, 1, 1) == '=' and string.sub(text, 2) end
redis.call('XADD', KEYS[2], id, 'commit', ARGV[3], unpack(ARGV, 9, at - 1))
redis.call('SET', KEYS[1], ARGV[2])
local record, decision = given(ARGV[at + 1]), given(ARGV[at + 3])
if record then
  redis.call('HSET', KEYS[3], ARGV[at], record)
  redis.call('ZADD', KEYS[4], ARGV[5], ARGV[at])
end
if decision then
  redis.call('HSET', KEYS[5], ARGV[at + 2], ARGV[4])
  redis.call('XADD', KEYS[6], id, 'window', ARGV[at + 2], 'at', ARGV[5], 'decision', decision)
end
local key = 7
for n = at + 4, #ARGV, 2 do
  local value = given(ARGV[n + 1])
  if value then redis.call('HSET', KEYS[key], ARGV[n], value) else redis.call('HDEL', KEYS[key], ARGV[n]) end
  redis.call('ZADD', KEYS[key + 1], ARGV[4], ARGV[4])
  key = key + 2
end
redis.pcall('PUBLISH', ARGV[6], ARGV[7])
return 1
`);

/**
 * Stores a report unless it is stored already. Answers 1 when it was stored now, 0 otherwise.
 *
 * KEYS: reports, cursor, models, evidence by when it was seen, by when it began, gateways, their sequences, activity, seal; then
 * the stream of each block's model. ARGV: name of the report, when it was seen, gateway, boot, sequence, status of the gateway
 * or nothing; then model, beginning and content of each block.
 */
export const REPORT_SCRIPT = scriptOf(`
if redis.call('ZADD', KEYS[1], 'NX', ARGV[2], ARGV[1]) == 0 then return 0 end
redis.call('INCRBY', KEYS[8], '1')
local blocks = (#ARGV - 6) / 3
if blocks > 0 then
  local seen = ARGV[2]
  local newest = redis.call('ZREVRANGE', KEYS[4], 0, 0, 'WITHSCORES')
  if newest[2] and tonumber(newest[2]) > tonumber(seen) then seen = newest[2] end
  local seal = redis.call('GET', KEYS[9])
  if seal and tonumber(seal) > tonumber(seen) then seen = seal end
  local last = redis.call('INCRBY', KEYS[2], string.format('%.0f', blocks))
  for n = 1, blocks do
    local at = 4 + 3 * n
    local cursor = last - blocks + n
    -- Of one width, so that their order as text is their order as numbers.
    local name = string.format('%016.0f', cursor)
    redis.call('XADD', KEYS[9 + n], string.format('%.0f-0', cursor), 'seen', seen, 'block', ARGV[at + 2])
    redis.call('ZADD', KEYS[4], seen, name)
    redis.call('ZADD', KEYS[5], ARGV[at + 1], name .. ' ' .. ARGV[at])
    redis.call('SADD', KEYS[3], ARGV[at])
  end
end
if ARGV[6] ~= '' then
  local sequence, boot = string.match(redis.call('HGET', KEYS[7], ARGV[3]) or '', '^(%d+) (.*)$')
  if boot ~= ARGV[4] or tonumber(sequence) < tonumber(ARGV[5]) then
    redis.call('HSET', KEYS[7], ARGV[3], ARGV[5] .. ' ' .. ARGV[4])
    redis.call('HSET', KEYS[6], ARGV[3], ARGV[6])
  end
end
return 1
`);

/**
 * Moves the seal on evidence, never back.
 *
 * KEYS: seal. ARGV: the moment.
 */
export const SEAL_SCRIPT = scriptOf(`
local seal = redis.call('GET', KEYS[1])
if not seal or tonumber(seal) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
return 1
`);

/**
 * Deletes evidence. Answers how much of it was there.
 *
 * KEYS: activity, evidence by when it began, by when it was seen, then the stream of each. ARGV: for each, its name in the one and
 * in the other.
 */
export const FORGET_EVIDENCE_SCRIPT = scriptOf(`
redis.call('INCRBY', KEYS[1], '1')
local gone = 0
for n = 1, #ARGV, 2 do
  gone = gone + redis.call('ZREM', KEYS[2], ARGV[n])
  redis.call('ZREM', KEYS[3], ARGV[n + 1])
  redis.call('XDEL', KEYS[4 + (n - 1) / 2], string.format('%.0f-0', tonumber(ARGV[n + 1])))
end
return gone
`);

/**
 * Deletes some idempotency records that are older than asked. Answers how many.
 *
 * KEYS: activity, idempotency, its ages. ARGV: before when, how many at most.
 */
export const FORGET_IDEMPOTENCY_SCRIPT = scriptOf(`
local old = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', '(' .. ARGV[1], 'LIMIT', 0, ARGV[2])
if #old > 0 then
  redis.call('INCRBY', KEYS[1], '1')
  redis.call('HDEL', KEYS[2], unpack(old))
  redis.call('ZREM', KEYS[3], unpack(old))
end
return #old
`);

/**
 * Forgets which reports were stored before a moment. Answers how many.
 *
 * KEYS: activity, reports. ARGV: before when.
 */
export const FORGET_REPORTS_SCRIPT = scriptOf(`
redis.call('INCRBY', KEYS[1], '1')
return redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[1])
`);

/**
 * Keeps what was said of requests, unless something was given later already.
 *
 * KEYS: activity, cohorts, then the hash of each thing said. ARGV: for each, its cohort, the name of that in the set of
 * cohorts, its field, when it was given, and the rest of it.
 */
export const FEEDBACK_SCRIPT = scriptOf(`
redis.call('INCRBY', KEYS[1], '1')
for n = 3, #KEYS do
  local at = 5 * (n - 3)
  local given = string.match(redis.call('HGET', KEYS[n], ARGV[at + 3]) or '', '^[^ ]+')
  if not given or tonumber(given) <= tonumber(ARGV[at + 4]) then
    redis.call('HSET', KEYS[n], ARGV[at + 3], ARGV[at + 4] .. ' ' .. ARGV[at + 5])
    redis.call('ZADD', KEYS[2], ARGV[at + 1], ARGV[at + 2])
  end
end
return 1
`);

/**
 * Deletes whole cohorts of feedback.
 *
 * KEYS: activity, cohorts, then the hash of each. ARGV: the name of each in the set of cohorts.
 */
export const FORGET_FEEDBACK_SCRIPT = scriptOf(`
redis.call('INCRBY', KEYS[1], '1')
for n, name in ipairs(ARGV) do
  redis.call('UNLINK', KEYS[n + 2])
  redis.call('ZREM', KEYS[2], name)
end
return #ARGV
`);

/**
 * Adds entries to streams that lack them; for copies, which add them in order.
 *
 * KEYS: the stream of each entry. ARGV: for each its number, how many fields and values it has, and these.
 */
export const LOAD_STREAMS_SCRIPT = scriptOf(`
local at = 1
for n = 1, #KEYS do
  local words = tonumber(ARGV[at + 1])
  local newest = redis.call('XREVRANGE', KEYS[n], '+', '-', 'COUNT', 1)[1]
  if not newest or tonumber(string.match(newest[1], '^%d+')) < tonumber(ARGV[at]) then
    redis.call('XADD', KEYS[n], ARGV[at] .. '-0', unpack(ARGV, at + 2, at + 1 + words))
  end
  at = at + 2 + words
end
return 1
`);

/**
 * Claims the store for one copy into it. Answers 1 when it is this copy's now, also when it is asked again.
 *
 * KEYS: the claim, then what is set to the copy's name in the same moment. ARGV: the copy, for how many milliseconds,
 * `first` when nobody's claim may be taken.
 */
export const CLAIM_SCRIPT = scriptOf(`
local holder = redis.call('GET', KEYS[1])
if holder ~= ARGV[1] and (holder or ARGV[3] ~= 'first') then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
for n = 2, #KEYS do redis.call('SET', KEYS[n], ARGV[1]) end
return 1
`);

/** Ends a claim when it is still this copy's. KEYS: the claim. ARGV: the copy. */
export const RELEASE_SCRIPT = scriptOf(`
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('UNLINK', KEYS[1]) end
return 1
`);

/** Gives keys the names that they were staged for. KEYS: old and new name in turn. */
export const PUBLISH_SCRIPT = scriptOf(`
for n = 1, #KEYS, 2 do
  if redis.call('EXISTS', KEYS[n]) == 1 then redis.call('RENAME', KEYS[n], KEYS[n + 1]) end
end
return 1
`);

/**
 * Runs every command that the other scripts need on keys of its own and leaves nothing behind. A user who lacks the
 * permission for one of them must find out before a commit that would stop half-way.
 *
 * KEYS: a hash, a sorted set, a stream, a text, a number, a set; all in one slot.
 */
export const PERMISSIONS_SCRIPT = scriptOf(`
redis.call('HSET', KEYS[1], 'a', '1')
redis.call('HGET', KEYS[1], 'a')
redis.call('HDEL', KEYS[1], 'a')
redis.call('ZADD', KEYS[2], 'NX', '1', 'a')
redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(1', 'LIMIT', 0, 1)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(1')
redis.call('ZREM', KEYS[2], 'a')
redis.call('XADD', KEYS[3], '1-0', 'a', '1')
redis.call('XRANGE', KEYS[3], '1-0', '1-0')
redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)
redis.call('XDEL', KEYS[3], '1-0')
redis.call('SET', KEYS[4], 'a')
redis.call('GET', KEYS[4])
redis.call('EXISTS', KEYS[4])
redis.call('RENAME', KEYS[4], KEYS[4])
redis.call('INCRBY', KEYS[5], '1')
redis.call('SADD', KEYS[6], 'a')
redis.call('UNLINK', unpack(KEYS))
redis.call('TIME')
return 1
`);
