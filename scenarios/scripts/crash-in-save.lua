-- Each attempt dies somewhere else; the next one succeeds. What the first has left may be a leak, never a lost mail.
local u, b = user(1), backend(1)

local function die_at(point)
  local h = crash_at(point, {backend = b, user = u, disk = "keep", down = "2 s"})
  local outcome, why, token = u:deliver{on = b}
  expect(outcome == "uncertain", point .. ": a delivery whose backend died is uncertain, not " .. outcome)
  assert(h:wait("1 ms"), "nobody came to " .. point)
  assert(b:restart())
  outcome, why = u:deliver{on = b, token = token}
  expect(outcome == "ok", point .. ": the second attempt: " .. why)
end

for _, point in ipairs{"object_stored", "reverse_row_inserted", "save_before_index"} do
  die_at(point)
end
local s = u:session{on = b}
expect(s:select("INBOX") == "ok", "INBOX opens")
expect(#s:mails() >= 3, "three mails at least are there")
s:close()
