-- What died half way is done again by the client. No mail may be lost that was not expunged, none may come back that was.
local u, b = user(1), backend(1)

local function fresh()
  local outcome, why, token = u:deliver{on = b}
  expect(outcome == "ok", "a delivery in peace: " .. why)
  local s = u:session{on = b}
  expect(s:select("INBOX") == "ok", "INBOX opens")
  assert(s:uid(token), "the mail that was delivered is in INBOX")
  return s, token
end

local function die_at(point, request)
  local s, token = fresh()
  local h = crash_at(point, {backend = b, user = u, disk = "keep", down = "2 s"})
  local outcome = request(s, s:uid(token))
  expect(outcome == "uncertain", point .. ": the backend died, and the outcome is " .. outcome)
  assert(h:wait("1 ms"), "nobody came to " .. point)
  s:close()
  assert(b:restart())
  -- Whatever is left of it goes.
  s = u:session{on = b}
  expect(s:select("INBOX") == "ok", "INBOX opens after the crash at " .. point)
  local uid = s:uid(token)
  if uid then
    expect(s:expunge(uid) ~= "uncertain", "an expunge in peace is certain")
  end
  s:close()
end

local function expunge(s, uid) return s:expunge(uid) end
local function move(s, uid) return s:move(uid, "Folder1") end
local function copy(s, uid) return s:copy(uid, "Folder1") end

for _, point in ipairs{"expunge_before_rows", "forward_row_deleted", "rows_deleted", "expunge_before_index"} do
  die_at(point, expunge)
end
for _, point in ipairs{"references_counted", "reverse_row_inserted", "copy_before_index", "move_copied", "forward_row_deleted",
    "rows_deleted"} do
  die_at(point, move)
end
for _, point in ipairs{"references_counted", "reverse_row_inserted", "copy_before_index"} do
  die_at(point, copy)
end
