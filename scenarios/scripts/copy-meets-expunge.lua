-- Between two hosts: the copy has counted the references when the other one deletes the last of them.
local u, b1, b2 = user(1), backend(1), backend(2)

local function session_on(b, token)
  local s = u:session{on = b}
  expect(s:select("INBOX") == "ok", "INBOX opens on " .. b:name())
  assert(s:uid(token), "the mail is there on " .. b:name())
  return s
end

local function race(b, point, other)
  local _, _, token = u:deliver{on = b1}
  expect(u:flush{on = b1} == "ok", "the index is uploaded")
  local copier, expunger = session_on(b1, token), session_on(b, token)
  local h = hold(point, {backend = b1, user = u})
  local copied
  local t = spawn(function() copied = copier:copy(copier:uid(token), "Folder1") end)
  h:wait()
  local e = spawn(function()
    local outcome = expunger:expunge(expunger:uid(token))
    expect(outcome == "ok", "the expunge is done: " .. outcome)
  end)
  if other then
    e:wait()
  else
    sleep("500 ms")
  end
  h:release()
  t:wait()
  e:wait()
  copier:close()
  expunger:close()
  return copied
end

-- On one host the expunge waits for the object's lock, and finds the copy.
for _, point in ipairs{"references_counted", "reverse_row_inserted"} do
  local copied = race(b1, point, false)
  expect(copied == "ok", point .. ": the copy on one host is done: " .. copied)
end
-- On two nobody waits.
expect(race(b2, "references_counted", true) == "ok", "the copy that nobody warned is done")
