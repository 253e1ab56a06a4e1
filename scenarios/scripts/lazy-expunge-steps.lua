-- It is decided which mails are the last of their objects; then others copy and expunge them.
local u, b1, b2 = user(1), backend(1), backend(2)

local function session_on(b, folder)
  local s = u:session{on = b}
  expect(s:select(folder or "INBOX") == "ok", (folder or "INBOX") .. " opens on " .. b:name())
  return s
end

local function delivers()
  local outcome, _, token = u:deliver{on = b1}
  expect(outcome == "ok", "a mail comes")
  return token
end

local function expunges(s, token, want)
  local outcome, why = s:expunge(s:uid(token))
  expect(outcome == want, "the expunge is " .. want .. ", not " .. outcome .. ": " .. tostring(why))
end

-- The only mail of an object is to be moved; it is copied before that.
local token = delivers()
local s, copier = session_on(b1), session_on(b1)
local h = hold("expunges_split", {backend = b1, user = u})
local t = spawn(function() expunges(s, token, "ok") end)
h:wait()
expect(copier:copy(copier:uid(token), "Folder1") == "ok", "it is copied meanwhile")
h:release()
t:wait()
s:close()
copier:close()

-- It dies right there: nothing was done, and what is asked for again is done once.
token = delivers()
s = session_on(b1)
local dead = crash_at("expunges_split", {backend = b1, user = u, down = "2 s"})
s:expunge(s:uid(token))
dead:wait()
assert(b1:restart())
s = session_on(b1)
expunges(s, token, "ok")
s:close()

-- A quarter of an hour later both backends find the same mails old, at once.
expect(u:flush{on = b1} == "ok", "the expunge folder is uploaded")
sleep("16 min")
local one, two = session_on(b1, ".EXPUNGED"), session_on(b2, ".EXPUNGED")
h = hold("old_mails_found", {backend = b1, user = u})
t = spawn(function() one:close() end)
h:wait()
two:close()
h:release()
t:wait()
s = session_on(b1, ".EXPUNGED")
expect(#s:mails() == 0, "they are gone: " .. #s:mails())
s:close()
