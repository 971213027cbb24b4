-- wrk's requests: the month of a meter at random.
-- Arguments: meters, first day, end day.
local meters, range

function init(arguments)
  math.randomseed(os.time())
  meters = tonumber(arguments[1])
  range = "/consumption?from=" .. arguments[2] .. "&to=" .. arguments[3] .. "&resolution=day"
end

function request()
  return wrk.format("GET", "/profile/" .. math.random(meters) .. range)
end
