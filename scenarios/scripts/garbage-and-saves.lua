local u, b1, b2 = user(1), backend(1), backend(2)

-- Garbage: a save that dies after its PUT.
local function litter(b)
  local h = crash_at("object_stored", {backend = b, user = u, disk = "keep", down = "1 s"})
  u:deliver{on = b}
  assert(h:wait("1 ms") and b:restart())
end

litter(b1)
litter(b2)
local h = hold("garbage_found")
h:wait()
-- Meanwhile the users go on.
for _, b in ipairs{b1, b2} do
  expect(u:deliver{on = b} == "ok", "a mail while garbage is collected")
end
h:release()
sleep("30 s")
litter(b1)
local dead = crash_at("garbage_found", {disk = "keep", down = "2 s"})
dead:wait()
sleep("5 s")
for _, b in ipairs{b1, b2} do
  assert(b:restart())
  expect(u:deliver{on = b} == "ok", "a mail after the collector's crash")
end
