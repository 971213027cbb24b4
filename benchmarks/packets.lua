-- wrk's requests: each a packet never sent before, all made before the clock starts,
-- so that the client costs as little as possible of the machine it shares with the server.
-- Arguments: first meter, meters, packets, first stamp (UTC epoch seconds), step: 1 sends the
-- meters in order, a number prime to meters sends them scattered; then, if not the seed's JSON to
-- /meter is wanted, the path to which the same goes as line protocol, stamped with its start.
local requests, count, at = {}, 0, 0

function init(arguments)
  local first_meter, meters = tonumber(arguments[1]), tonumber(arguments[2])
  local first_stamp = tonumber(arguments[4])
  count = tonumber(arguments[3])
  local step = tonumber(arguments[5])
  local path = arguments[6]
  local headers = {["Content-Type"] = path and "text/plain" or "application/json"}
  for n = 0, count - 1 do
    local meter = first_meter + (n * step) % meters
    local at = first_stamp + math.floor(n / meters) * 1800
    local body
    if path then
      body = string.format("energy,meter=%d wh=%di %d", meter, n % 3000, at - at % 1800 - 1800)
    else
      body = string.format(
        '{"id": %d, "timestamp": "%s", "reading_kWh": %.3f}',
        meter, os.date("!%Y-%m-%dT%H:%M:%SZ", at), (n % 3000) / 1000)
    end
    requests[n] = wrk.format("POST", path or "/meter", headers, body)
  end
end

function request()
  local made = requests[at % count]
  at = at + 1
  return made
end
