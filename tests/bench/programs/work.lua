-- SPDX-License-Identifier: MIT
-- What Lua programs do: tables, closures, strings and patterns, floating point, coroutines.
local function spectral(n)
  local function a(i, j) local ij = i + j - 1 return 1.0 / (ij * (ij - 1) * 0.5 + i) end
  local function times(x, transposed)
    local y = {}
    for i = 1, n do
      local sum = 0
      for j = 1, n do sum = sum + x[j] * (transposed and a(j, i) or a(i, j)) end
      y[i] = sum
    end
    return y
  end
  local u, v = {}, nil
  for i = 1, n do u[i] = 1 end
  for _ = 1, 4 do v = times(times(u), true); u = times(times(v), true) end
  local vbv, vv = 0, 0
  for i = 1, n do vbv, vv = vbv + u[i] * v[i], vv + v[i] * v[i] end
  return string.format("%.9f", math.sqrt(vbv / vv))
end

local function permutations(items)
  return coroutine.wrap(function()
    local function go(k)
      if k == 0 then coroutine.yield(items) return end
      for i = 1, k do
        items[i], items[k] = items[k], items[i]
        go(k - 1)
        items[i], items[k] = items[k], items[i]
      end
    end
    go(#items)
  end)
end

local counts, lines, longest = {}, 0, 0
for line in io.lines(arg[1]) do
  lines = lines + 1
  if lines > 6000 then break end
  local text = line:match(": (.*) took=")
  for word in text:gmatch("%a+") do counts[word] = (counts[word] or 0) + 1 end
  longest = math.max(longest, #line:upper():gsub("%d+", "<%0>"))
end
local names = {}
for word, count in pairs(counts) do names[#names + 1] = string.format("%05d %s", count, word) end
table.sort(names, function(x, y) return x > y end)
print(table.concat(names, ","), longest)
local sum = 0
for p in permutations({1, 2, 3, 4, 5, 6, 7, 8}) do sum = (sum * 31 + p[1] * p[8]) % 1000003 end
print(spectral(120), sum)
