-- Fields for Wireshark and tshark, made of the comments that the handshake lab writes into a capture.
--
-- SPDX-License-Identifier: GPL-2.0-or-later
--
-- A comment that begins "lab1 " is JSON for programs, one that begins "[lab] " or "[实验] " is for people.
-- Whoever hands us a capture may have written anything there: what does not fit is taken as not said.
-- It runs on Lua 5.1 to 5.4: Wireshark 4.0 and later.

local PREFIX, MARKS = "lab1 ", { en = "[lab] ", zh = "[实验] " }
local ROLES, INSTANTS = { "client", "server" }, { "held", "delivered" }
local DEEPEST, MOST = 16, 64 -- levels of JSON; values of one field

-- The language is LAB_LANG's, else the locale's.
local function locale()
    for _, name in ipairs({ "LAB_LANG", "LC_ALL", "LC_MESSAGES", "LANG" }) do
        local value = os.getenv(name)
        if value and value ~= "" then return value:lower():sub(1, 2) == "zh" and "zh" or "en" end
    end
    return "en"
end

local function text(en, zh) return locale() == "zh" and zh or en end

-- Who has it installed and is given it once more has it already.
local new, lab = pcall(Proto, "lab", text("Handshake lab", "握手实验室"))
if not new then return end

local fields = {
    step = ProtoField.string("lab.step", text("Step of the notes", "讲义步骤")),
    note = ProtoField.string("lab.note", text("Note", "讲解")),
    from = ProtoField.string("lab.from", text("Sent by", "发送方")),
    label = ProtoField.string("lab.label", text("Label", "标签")),
    fate = ProtoField.string("lab.fate", text("Fate", "下落")),
    refused = ProtoField.string("lab.refused", text("Refused by its receiver", "被接收方拒收")),
}
-- The ladder's states are the sender's when the packet had left and the receiver's when it had arrived; beside them
-- both ends' at both instants, as the lab has them and as the kernels said.
local SHOWN = { client = text("client", "客户端"), server = text("server", "服务器") }
local WHEN = { held = text("when held", "扣住时"), delivered = text("when delivered", "送达后") }
for _, role in ipairs(ROLES) do
    fields[role] = ProtoField.string("lab." .. role .. ".state", text("State of the ", "状态：") .. SHOWN[role])
end
for _, instant in ipairs(INSTANTS) do
    for _, role in ipairs(ROLES) do
        local when = SHOWN[role] .. " " .. WHEN[instant]
        fields[role .. instant] = ProtoField.string("lab." .. role .. "." .. instant, text("The ", "") .. when)
        fields["kernel" .. role .. instant] =
            ProtoField.string("lab.kernel." .. role .. "." .. instant, text("Kernel of the ", "内核：") .. when)
    end
end
lab.fields = fields

lab.prefs.language = Pref.enum(
    text("Language of the notes", "讲解的语言"), 0, text("The locale's, or the one you choose", "默认取自系统区域设置"),
    { { 1, text("The locale's", "系统区域设置"), 0 }, { 2, "English", 1 }, { 3, "中文", 2 } }, false
)
lab.prefs.info = Pref.bool(
    text("States in the Info column", "在 Info 列中显示状态"), true,
    text("Both ends' states behind what a packet is: the flow graph shows them too", "两端状态附在 Info 之后，流图中也会显示")
)

local comments_of = Field.new("frame.comment")

-- JSON, as much of it as there is: returns the value at a place and the place behind it, or no place where it is none.

local value_at

local LITERALS = { t = { "true", true }, f = { "false", false }, n = { "null", nil } }

local function text_at(json, at)
    local place = at + 1
    while true do
        local stop = json:find('["\\%c]', place)
        if stop == nil then return nil end
        local found = json:sub(stop, stop)
        if found == '"' then return json:sub(at + 1, stop - 1), stop + 1 end
        if found ~= "\\" then return nil end
        place = stop + 2
    end
end

-- Parts of `depth` and deeper are not read: nothing of ours is as deep.
local function parts_at(json, at, depth)
    local parts, closing, named = {}, json:sub(at, at) == "{" and "}" or "]", json:sub(at, at) == "{"
    at = json:match("^%s*()", at + 1)
    if depth > DEEPEST then return nil end
    if json:sub(at, at) == closing then return parts, at + 1 end
    while true do
        local name, value = #parts + 1, nil
        if named then
            if json:sub(at, at) ~= '"' then return nil end
            name, at = text_at(json, at)
            at = at and json:match("^%s*:%s*()", at)
            if not at then return nil end
        end
        value, at = value_at(json, at, depth + 1)
        if not at then return nil end
        if value == nil and not named then value = false end
        parts[name] = value
        local mark
        mark, at = json:match("^%s*([,%]}])%s*()", at)
        if mark == closing then return parts, at end
        if mark ~= "," then return nil end
    end
end

function value_at(json, at, depth)
    local first = json:sub(at, at)
    if first == '"' then return text_at(json, at) end
    if first == "{" or first == "[" then return parts_at(json, at, depth) end
    local literal = LITERALS[first]
    if literal then
        local word = literal[1]
        if json:sub(at, at + #word - 1) ~= word then return nil end
        return literal[2], at + #word
    end
    local number, behind = json:match("^(%-?%d[%d.eE+-]*)()", at)
    return tonumber(number), behind
end

local function told_in(comment)
    if comment:sub(1, #PREFIX) ~= PREFIX then return nil end
    local said, behind = value_at(comment, #PREFIX + 1, 1)
    if not behind or comment:match("^%s*()", behind) <= #comment or type(said) ~= "table" then return nil end
    return said
end

-- What may be said.

local function in_shape(value, shape)
    return type(value) == "string" and #value <= 64 and value:match(shape) or nil
end

local function state(value) return in_shape(value, "^%u[%u%d-]+$") end

local function code(value) return in_shape(value, "^[%w._-]+$") end

local function within(value, ...)
    for _, name in ipairs({ ... }) do
        if type(value) ~= "table" then return nil end
        value = value[name]
    end
    return value
end

local function list(value)
    local found = {}
    if type(value) ~= "table" then return found end
    for _, each in ipairs(value) do
        if #found == MOST then break end
        if code(each) then found[#found + 1] = each end
    end
    return found
end

-- A file of a lab that was older has only the kernels' states, and one of ours need not have those.
local function read(comment, seen)
    local said = told_in(comment)
    if said == nil then return end
    if not seen.told and type(said.told) == "table" then seen.told = said.told end
    if not seen.kernel and type(said.kernel) == "table" then seen.kernel = said.kernel end
end

-- What becomes of it.

local function language()
    return ({ [0] = locale(), "en", "zh" })[lab.prefs.language]
end

-- What could steer a terminal or turn the direction of writing is not passed on.
local function safe(words)
    return (words:gsub("%c", "·"):gsub("\226\128[\170-\174]", "·"):gsub("\226\129[\166-\169]", "·"))
end

local function note(comments)
    local mark = MARKS[language()]
    for _, comment in ipairs(comments) do
        if comment:sub(1, #mark) == mark then return safe(comment:sub(#mark + 1)) end
    end
end

local function shown(told, role)
    local instant = told.from ~= role and type(within(told, "states", "delivered")) == "table" and "delivered" or "held"
    return state(within(told, "states", instant, role))
end

function lab.dissector(_, pinfo, tree)
    local infos = { comments_of() }
    if #infos == 0 then return end
    local comments, seen = {}, {}
    for _, info in ipairs(infos) do
        local comment = tostring(info.value)
        comments[#comments + 1] = comment
        read(comment, seen)
    end
    local told, found = seen.told or {}, {}
    local function add(field, value)
        if value then found[#found + 1] = { fields[field], value } end
    end
    for _, each in ipairs(list(told.steps)) do add("step", each) end
    add("note", note(comments))
    add("from", code(told.from))
    for _, each in ipairs(list(told.labels)) do add("label", each) end
    add("fate", code(told.fate))
    add("refused", code(told.refused))
    local client, server = shown(told, "client"), shown(told, "server")
    add("client", client)
    add("server", server)
    for _, instant in ipairs(INSTANTS) do
        for _, role in ipairs(ROLES) do
            add(role .. instant, state(within(told, "states", instant, role)))
            add("kernel" .. role .. instant, state(within(seen.kernel, instant, role)))
        end
    end
    if #found == 0 then return end
    local branch = tree:add(lab)
    branch:set_generated()
    for _, each in ipairs(found) do branch:add(each[1], each[2]):set_generated() end
    if lab.prefs.info and (client or server) then
        local both = { SHOWN.client .. " " .. (client or "?"), SHOWN.server .. " " .. (server or "?") }
        pinfo.cols.info:append(" [" .. table.concat(both, text(", ", "，")) .. "]")
    end
end

register_postdissector(lab)
