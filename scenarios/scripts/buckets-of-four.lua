local u, b1, b2 = user(1), backend(1), backend(2)

local function fill(b, count)
  for _ = 1, count do
    expect(u:deliver{on = b} == "ok", "a mail on " .. b:name())
  end
end

-- The raise of the first one comes late: the second has raised, and put mails into the next bucket.
local h = hold("bucket_raised", {backend = b1, user = u})
local late
local t = spawn(function()
  fill(b1, 4)
  late = u:deliver{on = b1}
end)
h:wait()
fill(b2, 6)
h:release()
t:wait()
expect(late == "ok", "the mail that waited for its bucket: " .. tostring(late))

local dead = crash_at("bucket_raised", {backend = b2, user = u, disk = "lose_unsynced", down = "2 s"})
for i = 1, 12 do
  local outcome, _, token = u:deliver{on = b2}
  if outcome ~= "ok" then
    assert(b2:restart())
    expect(u:deliver{on = b2, token = token} == "ok", "the second attempt after the crash")
  end
end
assert(dead:count() > 0, "nobody raised max_bucket on the second backend")

sleep("20 s")
local s = u:session{on = b1}
expect(s:select("INBOX") == "ok", "INBOX opens")
expect(#s:mails() >= 23, "all mails are in the buckets: " .. #s:mails())
s:close()
