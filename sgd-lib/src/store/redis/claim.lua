-- KEYS: control, places, streams, config
-- ARGV: key prefix, place, worker or -1, workers wanted, holder, lease ms, ttl ms,
--       token of the lease that its holder gives up to this claim, or nothing, seize 0 or 1, first node
local function log(worker) return ARGV[1] .. 'log:' .. worker end
local function lease(worker) return ARGV[1] .. 'lease:' .. worker end
-- What stands under a lease's key is <holder>:<token>.
local function is_given_up(held) return held and string.match(held, '[^:]*$') == ARGV[8] end

if redis.call('EXISTS', KEYS[4]) == 0 then return {'over', 'there is no such run'} end
local worker = tonumber(ARGV[3])
-- Synchronizers come and go without regard to what the run's workers may do.
local of_node = worker >= tonumber(ARGV[10])
local stop = redis.call('HGET', KEYS[1], 'stop')
-- Who is given the lease of a worker that lives makes the model of the run that was stopped meanwhile.
if stop and not of_node and not (worker >= 0 and is_given_up(redis.call('GET', lease(worker)))) then
  return {'over', stop}
end

local workers = tonumber(redis.call('HGET', KEYS[1], 'workers') or ARGV[4])
local mine = redis.call('HGET', KEYS[2], ARGV[2])
if mine and (worker < 0 or worker == tonumber(mine)) then
  local held = redis.call('GET', lease(mine))
  local kept = held and not is_given_up(held)
  if kept and string.sub(held, 1, #ARGV[5] + 1) ~= ARGV[5] .. ':' then return {'duplicate', mine} end
  if kept then
    -- Our own claim, its answer lost.
    local now = redis.call('TIME')
    return {'granted', mine, string.sub(held, #ARGV[5] + 2), now[1], now[2], '0'}
  end
  worker = tonumber(mine)
end
if worker < 0 then
  -- A place that nobody had, or else one whose holder is gone.
  for untouched = 1, 0, -1 do
    for candidate = 0, workers - 1 do
      if worker < 0 and redis.call('EXISTS', lease(candidate)) == 0
        and (untouched == 0 or redis.call('SISMEMBER', KEYS[3], candidate) == 0) then
        worker = candidate
      end
    end
  end
end
if worker < 0 or (worker >= workers and not of_node) then return {'taken'} end
local holder = redis.call('GET', lease(worker))
if ARGV[9] == '0' and holder and not is_given_up(holder) then return {'taken'} end

local last = '0-0'
if redis.call('EXISTS', log(worker)) == 1 then
  local stream = redis.call('XINFO', 'STREAM', log(worker))
  for i = 1, #stream, 2 do
    if stream[i] == 'last-generated-id' then last = stream[i + 1] end
  end
end
local now = redis.call('TIME')
local token = math.max(now[1] * 1000 + math.floor(now[2] / 1000), tonumber(string.match(last, '^%d+')) + 1)
token = string.format('%.0f', token)
redis.call('SET', lease(worker), ARGV[5] .. ':' .. token, 'PX', ARGV[6])
redis.call('XADD', log(worker), token .. '-0', 'kind', 'fence', 'prev', last)
redis.call('SADD', KEYS[3], worker)
redis.call('HSET', KEYS[2], ARGV[2], worker)
for _, key in ipairs({log(worker), KEYS[3], KEYS[2]}) do redis.call('PEXPIRE', key, ARGV[7]) end
return {'granted', tostring(worker), token, now[1], now[2], last ~= '0-0' and '1' or '0'}
