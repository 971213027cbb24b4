-- wrk's requests: the month of a meter at random.
-- Arguments: how many meters, the step between their numbers, seed, path with METER in it.
local meters, step, path

function init(arguments)
  meters, step = tonumber(arguments[1]), tonumber(arguments[2])
  math.randomseed(tonumber(arguments[3]))
  path = arguments[4]
end

function request()
  return wrk.format("GET", (path:gsub("METER", tostring(math.random(meters) * step))))
end
