-- audit_line: one line of the audit, written by the script that makes the change: so there is no change without its line. What a program does
-- to its own jobs is no act of an operator: it names no actor, and has no line.
-- ARGV: actor (JSON: by, address, request, door; '': no line)
-- include: base
local function audit(action, target, before, after, reason, outcome, by)
  by = by or actor
  if by == '' then return end
  local fields = { 'at', int(now), 'actor', by, 'action', action, 'target', target, 'before', before, 'after', after }
  local function add(name, text)
    if text and text ~= '' then fields[#fields + 1], fields[#fields + 2] = name, text end
  end
  add('reason', reason)
  add('outcome', outcome)
  redis.call('XADD', prefix .. 'audit', 'MAXLEN', '~', 100000, '*', unpack(fields))
end

-- A pause as the audit says it: for how long from now on, if it has an end (µs until then), and why.
local function paused_as(reason, left_us)
  local for_long = left_us and left_us > 0 and ' for ' .. int(math.ceil(left_us / 1000000)) .. ' s' or ''
  return 'paused' .. for_long .. (reason ~= '' and ': ' .. reason or '')
end

-- Who makes the change of this call, in a word: "cli:ann@web1"; '' for a program that says nothing.
local function changed_by()
  local is_read, said = pcall(cjson.decode, actor)
  return is_read and type(said) == 'table' and said[1] or ''
end
