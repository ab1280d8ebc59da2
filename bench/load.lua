-- Sends each line of a file once: a bearer, a tab, a body. With a rate, requests leave on a fixed schedule.
local ffi = require("ffi")
ffi.cdef [[ typedef struct { long s; long ns; } bench_time; int clock_gettime(int, bench_time *); ]]
local clock = ffi.new("bench_time")
local function now()
  ffi.C.clock_gettime(1, clock)
  return tonumber(clock.s) * 1000 + tonumber(clock.ns) / 1e6
end

local lines, place, path, rate, started, sent = {}, 0, "", 0, nil, 0

function init(args)
  path, rate = args[2], tonumber(args[3])
  for line in io.lines(args[1]) do lines[#lines + 1] = line end
end

function request()
  place = place % #lines + 1
  local bearer, body = lines[place]:match("^([^\t]*)\t(.*)$")
  return "POST " .. path .. " HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nAuthorization: Bearer "
    .. bearer .. "\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body
end

if os.getenv("BENCH_PACED") then
  function delay()
    started = started or now()
    sent = sent + 1
    return math.max(0, math.floor(started + sent * 1000 / rate - now()))
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('RESULT {"requests":%d,"seconds":%f,"refused":%d,"broken":%d,"p50":%f,"p99":%f,"max":%f}\n',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency.max / 1000))
end
