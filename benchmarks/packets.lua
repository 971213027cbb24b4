-- wrk's requests: each a packet never sent before, all made before the clock starts,
-- so that the client costs as little as possible of the machine it shares with the server.
-- Arguments: first meter, meters, packets, first stamp (UTC epoch seconds), step: 1 sends the
-- meters in order, a number prime to meters sends them scattered.
local requests, count, at = {}, 0, 0

function init(arguments)
  local first_meter, meters = tonumber(arguments[1]), tonumber(arguments[2])
  local first_stamp = tonumber(arguments[4])
  count = tonumber(arguments[3])
  local step = tonumber(arguments[5])
  local headers = {["Content-Type"] = "application/json"}
  for n = 0, count - 1 do
    local stamp = os.date("!%Y-%m-%dT%H:%M:%SZ", first_stamp + math.floor(n / meters) * 1800)
    local body = string.format(
      '{"id": %d, "timestamp": "%s", "reading_kWh": %.3f}',
      first_meter + (n * step) % meters, stamp, (n % 3000) / 1000)
    requests[n] = wrk.format("POST", "/meter", headers, body)
  end
end

function request()
  local made = requests[at % count]
  at = at + 1
  return made
end
