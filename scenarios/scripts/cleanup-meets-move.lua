-- The row of a delivery is there and its answer is not. Before the backend gives up and cleans up, another one has seen
-- the mail and made something of it.
local u, b1, b2 = user(1), backend(1), backend(2)

-- Its answer is lost; b2 does that with the mail meanwhile, which is held at that point until the delivery is over.
local function meets(what, point)
  local h = hold("reverse_row_inserted", {backend = b1, user = u})
  local outcome
  local t = spawn(function() outcome = u:deliver{on = b1} end)
  h:wait()
  local f = fault{kind = "stall_reply", point = "cql.write", target = b1, nth = 1, length = "1 s"}
  h:release()
  sleep("500 ms")
  assert(f:fired() == 1, "the answer of the forward row is lost")
  local s = u:session{on = b2}
  expect(s:select("INBOX") == "ok", "INBOX opens on " .. b2:name())
  local mails = s:mails()
  local held = point and hold(point, {backend = b2, user = u})
  local done = spawn(function()
    expect(s[what](s, mails[#mails].uid, "Folder1") == "ok", what .. " on " .. b2:name())
  end)
  if held then
    held:wait()
    t:wait()
    held:release()
  end
  done:wait()
  t:wait()
  expect(outcome == "fail", "the delivery says that it failed, not " .. outcome)
  assert(marks("row_cleaned_up") > 0, "its rows are cleaned up")
  s:close()
  s = u:session{on = b1}
  expect(s:select("Folder1") == "ok", "Folder1 opens on " .. b1:name())
  local copies = s:mails()
  local body = s:fetch(copies[#copies].uid)
  expect((body == "ok") == (point == nil), "the body of the " .. what .. ": " .. body)
  s:close()
end

for _, what in ipairs{"move", "copy"} do
  meets(what)
end
-- It has counted the references before the rows go, and nobody counts its own: the race of any copy and delete.
meets("copy", "references_counted")
