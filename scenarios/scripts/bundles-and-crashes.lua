local u, b1, b2 = user(1), backend(1), backend(2)

local function deliver(b)
  local outcome, why, token = u:deliver{on = b}
  expect(outcome == "ok", "a delivery in peace: " .. why)
  return token
end

local function tokens(b)
  local s, found = u:session{on = b}, {}
  expect(s:select("INBOX") == "ok", "INBOX opens on " .. b:name())
  for _, mail in ipairs(s:mails()) do
    found[#found + 1] = mail.token
    expect(mail.token == 0 or not found[mail.token], "no mail is there twice on " .. b:name())
  end
  s:close()
  return #found
end

deliver(b1)
assert(u:flush{on = b1} == "ok")

-- More mails come while a bundle is on its way: they go into the next one.
for _, point in ipairs{"bundle_before_put", "bundle_stored", "bundle_before_delete"} do
  deliver(b1)
  local h = hold(point, {backend = b1, user = u})
  local flush = spawn(function() expect(u:flush{on = b1} == "ok", "the flush that was held ends well") end)
  h:wait()
  deliver(b1)
  h:release()
  flush:wait()
end

-- The upload dies: what was in it is found again.
for _, point in ipairs{"bundle_before_put", "bundle_stored", "bundle_before_delete"} do
  deliver(b1)
  local h = crash_at(point, {backend = b1, user = u, disk = "wipe", down = "2 s"})
  u:flush{on = b1}
  assert(h:wait("1 ms"), "nobody came to " .. point)
  assert(b1:restart())
end

-- The other one has listed the bundles; what it has seen is replaced and deleted before it reads it.
for _, point in ipairs{"bundles_listed", "rescan_refreshed", "merge_before", "root_listed"} do
  -- What was looked at just now is taken for current.
  sleep("20 s")
  deliver(b1)
  assert(u:flush{on = b1} == "ok")
  local h = hold(point, {backend = b2, user = u})
  local seen
  local look = spawn(function() seen = tokens(b2) end)
  h:wait()
  deliver(b1)
  expect(u:flush{on = b1} == "ok", "the other backend's upload")
  h:release()
  look:wait()
  expect(seen >= 1, point .. ": mails are seen")
end

-- Both say that they were here at the same time: the root is written by both.
sleep("20 s")
local h = hold("root_before_put", {backend = b1, user = u})
local s = u:session{on = b1}
local create = spawn(function() expect(s:create("A") == "ok", "a folder is made on the first backend") end)
h:wait()
local other = u:session{on = b2}
expect(other:create("B") == "ok", "a folder is made on the second")
h:release()
create:wait()
s:close()
other:close()
