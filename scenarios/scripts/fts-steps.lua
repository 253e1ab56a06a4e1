-- Each step of full text search is held on one backend, while another one does what it can to the same mails.
local u, b1, b2 = user(1), backend(1), backend(2)

local function session_on(b)
  local s = u:session{on = b}
  expect(s:select("INBOX") == "ok", "INBOX opens on " .. b:name())
  return s
end

local function finds(b, token)
  local s = session_on(b)
  expect(s:search(token) == "ok", "a search on " .. b:name() .. " ends well")
  s:close()
end

local function delivers(b)
  local outcome, why, token = u:deliver{on = b}
  expect(outcome == "ok", "a mail comes on " .. b:name() .. ": " .. tostring(why))
  return token
end

local function expunges(b, token)
  local s = session_on(b)
  expect(s:expunge(s:uid(token)) == "ok", "a mail goes on " .. b:name())
  s:close()
end

-- A mail is read for the index, and expunged before it is in it.
local first = delivers(b1)
finds(b1, first)
local h = hold("fts_mail_read", {backend = b1, user = u})
local second = delivers(b1)
h:wait()
-- Not u:flush(), which would wait for the index.
expect(b1:operate("metacache flush -u %u", u) == "ok", "the folder is uploaded")
expunges(b2, second)
h:release()
sleep("1 s")
finds(b1, second)
finds(b2, first)

-- A triplet is stored; what it replaces is there until the backend is back.
local third = delivers(b1)
finds(b1, third)
local dead = crash_at("fts_triplet_stored", {backend = b1, user = u, down = "2 s"})
u:flush{on = b1}
dead:wait()
finds(b2, third)
assert(b1:restart())
finds(b1, first)

-- One lists the objects, and another one puts them together before it has read any.
local fourth = delivers(b1)
finds(b1, fourth)
sleep("20 s")
h = hold("fts_listed", {backend = b2, user = u})
local t = spawn(function() finds(b2, fourth) end)
h:wait()
expunges(b1, first)
expect(u:flush{on = b1} == "ok", "b1 puts its triplets together")
h:release()
t:wait()
finds(b2, first)

-- X says what is to go, and the backend dies before the triplets are written anew.
expunges(b1, third)
finds(b1, fourth)
dead = crash_at("fts_expunges_stored", {backend = b1, user = u, disk = "keep", down = "2 s"})
u:flush{on = b1}
dead:wait()
finds(b2, third)
assert(b1:restart())
expect(u:flush{on = b2} == "ok", "b2 goes on with it")
finds(b1, fourth)
