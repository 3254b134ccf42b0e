-- Wireshark dissector for the packets of rx_multicast_ipc: reliable channels and what goes beside them.
--
-- Copy it to the folder that "Help, About Wireshark, Folders" names as "Personal Lua Plugins", or try it with
--     tshark -X lua_script:rx_multicast_ipc.lua -r capture.pcap
-- It finds the packets on any UDP port by their first byte. The format is described in docs/reliable.md.

local proto = Proto("rxmipc", "rx_multicast_ipc")

local MAGIC, SEALED = 0xF5, 0xF6
local HEADER, SEAL, TAG = 16, 24, 16

local KINDS = {
    [1] = "DATA", [2] = "BEAT", [3] = "STATUS", [4] = "BYE", [5] = "MESSAGE", [6] = "PRESENCE", [7] = "LATEST",
    [8] = "ASK",
}
local HOLDS = {
    [0] = "part of a message", [1] = "first part of a message", [2] = "last part of a message", [3] = "one message",
    [7] = "messages", [11] = "messages of one length",
}

local f = {
    kind = ProtoField.uint8("rxmipc.kind", "Kind", base.DEC, KINDS, 0xF0),
    flags = ProtoField.uint8("rxmipc.flags", "Flags", base.HEX, nil, 0x0F),
    holds = ProtoField.uint8("rxmipc.holds", "Holds", base.DEC, HOLDS, 0x0F),
    ask = ProtoField.bool("rxmipc.ask", "Asks for a STATUS", 8, nil, 0x01),
    hello = ProtoField.bool("rxmipc.hello", "Is there", 8, nil, 0x02),
    leave = ProtoField.bool("rxmipc.leave", "Leaves", 8, nil, 0x04),
    count = ProtoField.uint16("rxmipc.count", "Count"),
    session = ProtoField.uint32("rxmipc.session", "Session", base.HEX),
    number = ProtoField.uint64("rxmipc.number", "Number"),
    total = ProtoField.uint64("rxmipc.total", "Length of the whole message"),
    message = ProtoField.bytes("rxmipc.message", "Message"),
    text = ProtoField.string("rxmipc.text", "Text"),
    part = ProtoField.bytes("rxmipc.part", "Part"),
    oldest = ProtoField.uint64("rxmipc.oldest", "Oldest that can be repeated"),
    round_trip = ProtoField.uint32("rxmipc.round_trip", "Round trip (us)"),
    age = ProtoField.uint32("rxmipc.age", "Age of the stream (ms)"),
    answer = ProtoField.uint64("rxmipc.answer", "Answer to a challenge", base.HEX),
    highest = ProtoField.uint64("rxmipc.highest", "Highest known"),
    ago = ProtoField.uint32("rxmipc.ago", "Known since (us)"),
    room = ProtoField.uint32("rxmipc.room", "Receive buffer (bytes)"),
    challenge = ProtoField.uint64("rxmipc.challenge", "Challenge", base.HEX),
    from = ProtoField.uint32("rxmipc.end", "End of the receiver", base.HEX),
    bitmap = ProtoField.bytes("rxmipc.bitmap", "Bitmap of what is missing"),
    missing = ProtoField.uint64("rxmipc.missing", "Missing"),
    body = ProtoField.bytes("rxmipc.body", "Body"),
    hint = ProtoField.uint24("rxmipc.sealed.key", "Hint at the key", base.HEX),
    salt = ProtoField.bytes("rxmipc.sealed.salt", "Salt of the opening"),
    counter = ProtoField.uint64("rxmipc.sealed.counter", "Counter"),
    cipher = ProtoField.bytes("rxmipc.sealed.cipher", "Encrypted packet"),
    tag = ProtoField.bytes("rxmipc.sealed.tag", "Authentication tag"),
}
local fields = {}
for _, field in pairs(f) do
    fields[#fields + 1] = field
end
proto.fields = fields

local malformed = ProtoExpert.new("rxmipc.malformed", "Malformed packet", expert.group.MALFORMED, expert.severity.WARN)
proto.experts = { malformed }

local MOST_SHOWN = 64 -- numbers of missing packets that are listed one by one

local function is_packet(buffer)
    if buffer:len() < HEADER then
        return false
    end
    local first, kind = buffer(0, 1):uint(), bit.rshift(buffer(1, 1):uint(), 4)
    if first == MAGIC then
        return KINDS[kind] ~= nil
    end
    return first == SEALED and buffer:len() >= SEAL + HEADER + TAG
end

local function add_message(tree, range)
    local item = tree:add(f.message, range)
    local text = range:len() <= 512 and range:string() or ""
    if text ~= "" and not text:find("[^\32-\126]") then
        item:append_text(' "' .. text .. '"')
    end
end

local function add_data(buffer, tree, flags, count)
    local body = buffer:len() > HEADER and buffer(HEADER) or nil
    tree:add(f.holds, buffer(1, 1))
    if flags == 7 then
        local at, heard = HEADER, 0
        while at + 2 <= buffer:len() do
            local length = buffer(at, 2):uint()
            if at + 2 + length > buffer:len() then
                break
            end
            if length > 0 then
                add_message(tree, buffer(at + 2, length))
            else
                tree:add(f.message, buffer(at, 0))
            end
            at, heard = at + 2 + length, heard + 1
        end
        if at ~= buffer:len() or heard ~= count then
            tree:add_proto_expert_info(malformed)
        end
        return string.format("%d messages", count)
    elseif flags == 11 then
        local size = body and count > 0 and body:len() / count or 0
        if size < 1 or size ~= math.floor(size) then
            tree:add_proto_expert_info(malformed)
            return ""
        end
        for place = 0, count - 1 do
            add_message(tree, buffer(HEADER + place * size, size))
        end
        return string.format("%d messages of %d bytes", count, size)
    elseif flags == 3 then
        if body then
            add_message(tree, body)
        end
        return string.format("%d bytes", body and body:len() or 0)
    elseif flags == 1 and body and body:len() > 8 then
        tree:add(f.total, buffer(HEADER, 8))
        tree:add(f.part, buffer(HEADER + 8))
        return string.format("first part of %s bytes", tostring(buffer(HEADER, 8):uint64()))
    elseif (flags == 0 or flags == 2) and body then
        tree:add(f.part, body)
        return flags == 2 and "last part" or "part"
    end
    tree:add_proto_expert_info(malformed)
    return ""
end

-- Each field of a kind: where it begins, and bytes.
local BEAT = { { f.ask, 1, 1 }, { f.oldest, 16, 8 }, { f.round_trip, 24, 4 }, { f.age, 28, 4 }, { f.answer, 32, 8 } }
local STATUS = {
    { f.hello, 1, 1 }, { f.leave, 1, 1 }, { f.highest, 16, 8 }, { f.ago, 24, 4 }, { f.room, 28, 4 },
    { f.challenge, 32, 8 }, { f.from, 40, 4 },
}

-- Whether the packet has the length that it should have; then its fields are shown.
local function add_fields(buffer, tree, fields, length)
    if buffer:len() ~= length then
        tree:add_proto_expert_info(malformed)
        return false
    end
    for _, field in ipairs(fields) do
        tree:add(field[1], buffer(field[2], field[3]))
    end
    return true
end

local function add_beat(buffer, tree, flags)
    return add_fields(buffer, tree, BEAT, HEADER + 24) and bit.band(flags, 1) == 1 and "asks" or ""
end

local function add_status(buffer, tree, flags, count)
    if not add_fields(buffer, tree, STATUS, HEADER + 28 + count) then
        return ""
    end
    if count == 0 then
        return bit.band(flags, 2) ~= 0 and "hello" or bit.band(flags, 4) ~= 0 and "leaves" or ""
    end
    local bitmap, number, missing = buffer(44, count), buffer(8, 8):uint64(), 0
    local item = tree:add(f.bitmap, bitmap)
    for place = 0, count - 1 do
        local byte = buffer(44 + place, 1):uint()
        for digit = 0, 7 do
            if bit.band(byte, bit.lshift(1, digit)) ~= 0 then
                missing = missing + 1
                if missing <= MOST_SHOWN then
                    item:add(f.missing, buffer(44 + place, 1), number + (place * 8 + digit))
                end
            end
        end
    end
    return string.format("%d missing", missing)
end

local function dissect_sealed(buffer, pinfo, tree)
    tree:add(f.hint, buffer(1, 3))
    tree:add(f.salt, buffer(4, 12))
    tree:add(f.counter, buffer(16, 8))
    tree:add(f.cipher, buffer(SEAL, buffer:len() - SEAL - TAG))
    tree:add(f.tag, buffer(buffer:len() - TAG, TAG))
    pinfo.cols.info = "sealed"
end

function proto.dissector(buffer, pinfo, root)
    pinfo.cols.protocol = "RXMIPC"
    local tree = root:add(proto, buffer())
    if buffer(0, 1):uint() == SEALED then
        dissect_sealed(buffer, pinfo, tree)
        return buffer:len()
    end
    local second = buffer(1, 1):uint()
    local kind, flags, count = bit.rshift(second, 4), bit.band(second, 15), buffer(2, 2):uint()
    tree:add(f.kind, buffer(1, 1))
    tree:add(f.flags, buffer(1, 1))
    tree:add(f.count, buffer(2, 2))
    tree:add(f.session, buffer(4, 4))
    tree:add(f.number, buffer(8, 8))
    local said = ""
    if kind == 1 then
        said = add_data(buffer, tree, flags, count)
    elseif kind == 2 then
        said = add_beat(buffer, tree, flags)
    elseif kind == 3 then
        said = add_status(buffer, tree, flags, count)
    elseif kind == 5 and buffer:len() > HEADER then
        add_message(tree, buffer(HEADER))
    elseif buffer:len() > HEADER then
        tree:add(f.body, buffer(HEADER))
    end
    local number = tostring(buffer(8, 8):uint64())
    tree:append_text(string.format(", %s %s", KINDS[kind], number))
    pinfo.cols.info = string.format("%s %s  session %08x  %s", KINDS[kind], number, buffer(4, 4):uint(), said)
    return buffer:len()
end

proto:register_heuristic("udp", function(buffer, pinfo, tree)
    if not is_packet(buffer) then
        return false
    end
    proto.dissector(buffer, pinfo, tree)
    return true
end)
