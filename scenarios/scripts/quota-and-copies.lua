-- Room for one more mail, and two who have seen it.
local u, b1, b2 = user(1), backend(1), backend(2)

local function session_on(b)
  local s = u:session{on = b}
  expect(s:select("INBOX") == "ok", "INBOX opens on " .. b:name())
  return s
end

for n = 1, 14 do
  expect(u:deliver{on = b1} == "ok", "there is room for mail " .. n)
end
expect(u:flush{on = b1} == "ok", "the other one hears of them")

-- Two deliveries on two backends: each has seen room for one, and neither is refused afterwards.
local h = hold("quota_summed", {backend = b1, user = u})
local outcome
local t = spawn(function() outcome = u:deliver{on = b1} end)
h:wait()
expect(u:deliver{on = b2} == "ok", "there is room for the 15th")
h:release()
t:wait()
expect(outcome == "ok", "who had seen the room is not asked again: " .. outcome)
expect(u:flush{on = b1} == "ok" and u:flush{on = b2} == "ok", "both upload")
expect(u:deliver{on = b1} == "fail", "a 17th mail is refused")

-- A copy that has seen no room, while somebody makes some: it is refused, and the next one is not.
local s = session_on(b1)
h = hold("quota_summed", {backend = b1, user = u})
local copied
t = spawn(function() copied = s:copy(s:mails()[1].uid, "INBOX") end)
h:wait()
local other = session_on(b1)
expect(other:expunge({other:mails()[2].uid, other:mails()[3].uid, other:mails()[4].uid}) == "ok", "room is made")
other:close()
h:release()
t:wait()
expect(copied == "fail", "the copy had seen none: " .. copied)
expect(s:copy(s:mails()[1].uid, "INBOX") == "ok", "the next one sees it")
s:close()

-- And a backend that dies between the sum and the mail leaves nothing that counts.
local dead = crash_at("quota_summed", {backend = b2, user = u, down = "2 s"})
u:deliver{on = b2}
dead:wait()
assert(b2:restart())
