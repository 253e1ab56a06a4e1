local u, b1, b2 = user(1), backend(1), backend(2)

for _ = 1, 3 do
  expect(u:deliver{on = b1} == "ok", "a mail in peace")
end
local h = hold("pull_received", {backend = b2})
local pull = spawn(function()
  expect(b2:operate("metacache pull -u %u backend-1", u) == "ok", "the pull ends well")
end)
h:wait()
-- What was pulled does not know of these.
local s = u:session{on = b1}
expect(s:select("INBOX") == "ok", "INBOX opens on the source")
expect(s:expunge(s:mails()[1].uid) == "ok", "a mail is expunged on the source")
expect(s:store(s:mails()[1].uid, "\\Flagged") == "ok", "a flag is set on the source")
s:close()
expect(u:deliver{on = b1} == "ok", "a mail comes on the source")
expect(u:flush{on = b1} == "ok", "the source uploads")
h:release()
pull:wait()
s = u:session{on = b2}
expect(s:select("INBOX") == "ok", "INBOX opens where it was pulled to")
expect(#s:mails() == 3, "the mails of now are seen: " .. #s:mails())
s:close()

-- And one that dies with what it has received.
sleep("20 s")
local dead = crash_at("pull_received", {backend = b1, disk = "keep", down = "2 s"})
b1:operate("metacache pull -u %u backend-2", u)
assert(dead:wait("1 ms"), "nobody received anything")
assert(b1:restart())
expect(u:deliver{on = b1} == "ok", "a mail after the crash")
