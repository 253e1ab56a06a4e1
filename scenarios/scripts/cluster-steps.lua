-- Users come and go by themselves, operators move groups; here backends and controllers are kept at each step, or die at it.
-- A group without users who have sessions has nobody to kick: nobody comes then.
local function kept(point, time, options)
  local h = hold(point, options)
  if h:wait("90 s") then
    sleep(time)
  end
  h:release()
end

-- A login has been looked up, and GeoDB says something else when it is acted on.
kept("login_decided", "8 s", {nth = 3})
kept("login_decided", "8 s", {backend = backend(1), nth = 2})

-- A move: the sessions were told to end, and it goes on later; all are gone, and GeoDB hears of it later.
kept("sessions_kicked", "5 s")
kept("group_left", "15 s")

-- The source dies at each of these steps. Somebody else ends the move.
for _, point in ipairs{"sessions_kicked", "group_left"} do
  local h = hold(point)
  if h:wait("90 s") then
    h:crash{down = "20 s"}
    sleep("60 s")
  end
  h:release()
end

-- A backend is gone for long enough to be taken out, unless too few of its users ask for it. The controller says so when it is back.
local h = hold("backend_judged")
backend(2):crash{down = "70 s"}
if h:wait("70 s") then
  sleep("60 s")
end
h:release()

-- This time it is taken out at once. A proxy decides who takes over, and writes it ten seconds later: others decide meanwhile.
sleep("60 s")
h = hold("row_decided")
backend(1):crash{down = "90 s"}
if h:wait("90 s") then
  sleep("10 s")
end
h:release()
