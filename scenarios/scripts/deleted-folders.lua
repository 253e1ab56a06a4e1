local u, b1, b2 = user(1), backend(1), backend(2)

local function with(b, fn)
  local s = u:session{on = b}
  fn(s)
  s:close()
end

local function fill(name)
  for _ = 1, 2 do
    expect(u:deliver{on = b1, folder = name} == "ok", "a mail for " .. name)
  end
end

-- The backend dies between the steps: who asks again finds the rest.
for _, point in ipairs{"folder_deleted", "folder_mails_deleted"} do
  fill("Folder1")
  local h = crash_at(point, {backend = b1, user = u, disk = "keep", down = "2 s"})
  with(b1, function(s) expect(s:delete("Folder1") == "uncertain", point .. ": the backend died") end)
  assert(h:wait("1 ms"), "nobody came to " .. point)
  assert(b1:restart())
  with(b1, function(s)
    for _, name in ipairs(s:list()) do
      expect(name ~= "Folder1", point .. ": the folder is gone from the list")
    end
  end)
end

-- Another backend saves into the folder while it is deleted: the mail is saved again, and must be in one place.
fill("Folder1")
with(b2, function(s) expect(s:select("Folder1") == "ok", "the second backend has the folder") end)
local saving = hold("object_stored", {backend = b2, user = u})
local rescued = hold("mail_rescued", {user = u})
local saved = spawn(function()
  expect(u:deliver{on = b2, folder = "Folder1"} == "ok", "who does not know yet delivers")
end)
saving:wait()
with(b1, function(s) expect(s:delete("Folder1") == "ok", "the folder is deleted") end)
saving:release()
saved:wait()
for _ = 1, 40 do
  sleep("5 s")
  spawn(function() with(b2, function(s) s:list() end) end)
  if rescued:is_held() then break end
end
assert(rescued:is_held(), "nobody saved the mail again")
rescued:release()

-- A user is deleted, and the backend dies before the root is. Metacaches elsewhere are the operator's business (obox 4.11, H-07).
sleep("10 s")
b2:crash{disk = "wipe", down = "1 s"}
assert(b2:restart())
local h = crash_at("user_folders_deleted", {user = u, disk = "keep", down = "2 s"})
for i = 1, 20 do
  u:delete{on = b1}
  if h:count() > 0 then break end
  sleep("5 s")
end
assert(h:count() > 0, "the user was never deleted so far")
assert(b1:restart())
expect(u:delete{on = b1} == "ok", "who deletes again comes to the end")
