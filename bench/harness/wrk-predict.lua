-- Sends prediction requests in a closed loop and reports one JSON object.
-- Arguments: a file with one JSON body per line, the number of subjects, then headers as "name: value".
-- The requests are built once, so that the load generator is never what is measured.

local requests = {}
local last = 0

function init(args)
  local bodies = {}
  for line in io.lines(args[1]) do
    bodies[#bodies + 1] = line
  end
  local headers = { ["content-type"] = "application/json" }
  for i = 3, #args do
    local name, value = args[i]:match("^([^:]+): (.*)$")
    headers[name] = value
  end
  for i = 1, tonumber(args[2]) do
    headers["x-user-id"] = "user-" .. i
    requests[i] = wrk.format("POST", nil, headers, bodies[i % #bodies + 1])
  end
end

function request()
  last = last % #requests + 1
  return requests[last]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"durationMicros":%d,"p50Micros":%d,"p99Micros":%d,"badStatus":%d,"socketErrors":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout
  ))
end
