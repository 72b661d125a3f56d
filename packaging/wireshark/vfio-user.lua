-- Shows vfio-user messages in Wireshark and tshark, as 'vfio serve --capture FILE' and '?capture=FILE' write them.
-- MIT licence, as all of Vfio. Works with Wireshark 4.0 and later (Lua 5.2 to 5.4).
--
-- A packet names this dissector, "vfiouser", in its tags (LINKTYPE_WIRESHARK_UPPER_PDU), so no preference has to be set. It begins with a
-- header of the capture, 12 bytes, little-endian:
--   0  1  version of this layout: 1
--   1  1  direction: 0 from the client to the server, 1 from the server to the client
--   2  1  socket: 0 the session's, 1 its twin socket
--   3  1  bit 0: no whole message, but what had arrived when the stream ended or broke
--   4  4  session
--   8  4  how many descriptors came with the message
-- The message follows. Its format is QEMU's docs/interop/vfio-user.rst.

local vfio = Proto("vfiouser", "vfio-user")

local CAPTURE_BYTES, HEADER_BYTES = 12, 16

-- Most capabilities and entries of arrays, together, that are shown of a message: a hostile count costs no time.
local MOST_SHOWN = 1024

-- So much of the capabilities of VERSION is looked at for known names.
local MOST_PARSED = 8192

-- A command waits for its reply until so many later ones of its sender are there and one of them has its id: its own reply is lost then.
local MOST_WAITING = 4096

local VERSION, DMA_MAP, DMA_UNMAP, GET_INFO, GET_REGION_INFO, GET_REGION_IO_FDS = 1, 2, 3, 4, 5, 6
local GET_IRQ_INFO, SET_IRQS, REGION_READ, REGION_WRITE, DMA_READ, DMA_WRITE = 7, 8, 9, 10, 11, 12
local RESET, REGION_WRITE_MULTI, FEATURE, MIG_DATA_READ, MIG_DATA_WRITE = 13, 15, 16, 17, 18

local COMMANDS = {
    [VERSION] = "VERSION", [DMA_MAP] = "DMA_MAP", [DMA_UNMAP] = "DMA_UNMAP", [GET_INFO] = "DEVICE_GET_INFO",
    [GET_REGION_INFO] = "DEVICE_GET_REGION_INFO", [GET_REGION_IO_FDS] = "DEVICE_GET_REGION_IO_FDS",
    [GET_IRQ_INFO] = "DEVICE_GET_IRQ_INFO", [SET_IRQS] = "DEVICE_SET_IRQS", [REGION_READ] = "REGION_READ",
    [REGION_WRITE] = "REGION_WRITE", [DMA_READ] = "DMA_READ", [DMA_WRITE] = "DMA_WRITE", [RESET] = "DEVICE_RESET",
    [14] = "DIRTY_PAGES (no longer used)", [REGION_WRITE_MULTI] = "REGION_WRITE_MULTI", [FEATURE] = "DEVICE_FEATURE",
    [MIG_DATA_READ] = "MIG_DATA_READ", [MIG_DATA_WRITE] = "MIG_DATA_WRITE",
}

local DIRECTIONS = { [0] = "client to server", [1] = "server to client" }
local SOCKETS = { [0] = "session", [1] = "twin" }
local TYPES = { [0] = "command", [1] = "reply" }
local REGIONS = { [0] = "BAR0", "BAR1", "BAR2", "BAR3", "BAR4", "BAR5", "ROM", "config", "VGA" }
local IRQS = { [0] = "INTx", "MSI", "MSI-X", "ERR", "REQ" }
local CAPABILITIES = { [1] = "sparse mmap", [2] = "type", [3] = "MSI-X mappable" }
local FD_TYPES = { [0] = "ioeventfd", [1] = "ioregionfd" }
local FEATURES = { [1] = "MIGRATION", [2] = "MIG_DEVICE_STATE", [6] = "DMA_LOGGING_START", [7] = "DMA_LOGGING_STOP", [8] = "DMA_LOGGING_REPORT" }
local STATES = { [0] = "ERROR", "STOP", "RUNNING", "STOP_COPY", "RESUMING", "RUNNING_P2P", "PRE_COPY", "PRE_COPY_P2P" }

-- Linux's numbers, asm-generic/errno-base.h and errno.h.
local ERRNOS = {
    [0] = "none", [1] = "EPERM", [2] = "ENOENT", [3] = "ESRCH", [4] = "EINTR", [5] = "EIO", [6] = "ENXIO", [7] = "E2BIG", [8] = "ENOEXEC",
    [9] = "EBADF", [10] = "ECHILD", [11] = "EAGAIN", [12] = "ENOMEM", [13] = "EACCES", [14] = "EFAULT", [15] = "ENOTBLK",
    [16] = "EBUSY", [17] = "EEXIST", [18] = "EXDEV", [19] = "ENODEV", [20] = "ENOTDIR", [21] = "EISDIR", [22] = "EINVAL",
    [23] = "ENFILE", [24] = "EMFILE", [25] = "ENOTTY", [26] = "ETXTBSY", [27] = "EFBIG", [28] = "ENOSPC", [29] = "ESPIPE",
    [30] = "EROFS", [31] = "EMLINK", [32] = "EPIPE", [33] = "EDOM", [34] = "ERANGE", [35] = "EDEADLK", [36] = "ENAMETOOLONG",
    [37] = "ENOLCK", [38] = "ENOSYS", [39] = "ENOTEMPTY", [40] = "ELOOP", [42] = "ENOMSG", [43] = "EIDRM", [44] = "ECHRNG",
    [45] = "EL2NSYNC", [46] = "EL3HLT", [47] = "EL3RST", [48] = "ELNRNG", [49] = "EUNATCH", [50] = "ENOCSI", [51] = "EL2HLT",
    [52] = "EBADE", [53] = "EBADR", [54] = "EXFULL", [55] = "ENOANO", [56] = "EBADRQC", [57] = "EBADSLT", [59] = "EBFONT",
    [60] = "ENOSTR", [61] = "ENODATA", [62] = "ETIME", [63] = "ENOSR", [64] = "ENONET", [65] = "ENOPKG", [66] = "EREMOTE",
    [67] = "ENOLINK", [68] = "EADV", [69] = "ESRMNT", [70] = "ECOMM", [71] = "EPROTO", [72] = "EMULTIHOP", [73] = "EDOTDOT",
    [74] = "EBADMSG", [75] = "EOVERFLOW", [76] = "ENOTUNIQ", [77] = "EBADFD", [78] = "EREMCHG", [79] = "ELIBACC", [80] = "ELIBBAD",
    [81] = "ELIBSCN", [82] = "ELIBMAX", [83] = "ELIBEXEC", [84] = "EILSEQ", [85] = "ERESTART", [86] = "ESTRPIPE", [87] = "EUSERS",
    [88] = "ENOTSOCK", [89] = "EDESTADDRREQ", [90] = "EMSGSIZE", [91] = "EPROTOTYPE", [92] = "ENOPROTOOPT", [93] = "EPROTONOSUPPORT",
    [94] = "ESOCKTNOSUPPORT", [95] = "EOPNOTSUPP", [96] = "EPFNOSUPPORT", [97] = "EAFNOSUPPORT", [98] = "EADDRINUSE",
    [99] = "EADDRNOTAVAIL", [100] = "ENETDOWN", [101] = "ENETUNREACH", [102] = "ENETRESET", [103] = "ECONNABORTED",
    [104] = "ECONNRESET", [105] = "ENOBUFS", [106] = "EISCONN", [107] = "ENOTCONN", [108] = "ESHUTDOWN", [109] = "ETOOMANYREFS",
    [110] = "ETIMEDOUT", [111] = "ECONNREFUSED", [112] = "EHOSTDOWN", [113] = "EHOSTUNREACH", [114] = "EALREADY",
    [115] = "EINPROGRESS", [116] = "ESTALE", [117] = "EUCLEAN", [118] = "ENOTNAM", [119] = "ENAVAIL", [120] = "EISNAM",
    [121] = "EREMOTEIO", [122] = "EDQUOT", [123] = "ENOMEDIUM", [124] = "EMEDIUMTYPE", [125] = "ECANCELED", [126] = "ENOKEY",
    [127] = "EKEYEXPIRED", [128] = "EKEYREVOKED", [129] = "EKEYREJECTED", [130] = "EOWNERDEAD", [131] = "ENOTRECOVERABLE",
    [132] = "ERFKILL",
}

local f = {
    direction = ProtoField.uint8("vfiouser.direction", "Direction", base.DEC, DIRECTIONS),
    socket = ProtoField.uint8("vfiouser.socket", "Socket", base.DEC, SOCKETS),
    part = ProtoField.bool("vfiouser.part", "Part of a message", 8, nil, 0x01),
    session = ProtoField.uint32("vfiouser.session", "Session"),
    descriptors = ProtoField.uint32("vfiouser.descriptors", "Descriptors"),

    id = ProtoField.uint16("vfiouser.id", "Message id"),
    command = ProtoField.uint16("vfiouser.command", "Command", base.DEC, COMMANDS),
    size = ProtoField.uint32("vfiouser.size", "Message size"),
    flags = ProtoField.uint32("vfiouser.flags", "Flags", base.HEX),
    type = ProtoField.uint32("vfiouser.flags.type", "Type", base.DEC, TYPES, 0x0000000f),
    no_reply = ProtoField.bool("vfiouser.flags.no_reply", "No reply wanted", 32, nil, 0x00000010),
    is_error = ProtoField.bool("vfiouser.flags.error", "Error", 32, nil, 0x00000020),
    errno = ProtoField.uint32("vfiouser.errno", "Error", base.DEC, ERRNOS),

    response_in = ProtoField.framenum("vfiouser.response_in", "Reply in", base.NONE, frametype.RESPONSE),
    response_to = ProtoField.framenum("vfiouser.response_to", "Reply to", base.NONE, frametype.REQUEST),
    time = ProtoField.relative_time("vfiouser.time", "Time from command to reply"),

    major = ProtoField.uint16("vfiouser.version.major", "Major version"),
    minor = ProtoField.uint16("vfiouser.version.minor", "Minor version"),
    json = ProtoField.string("vfiouser.version.json", "Capabilities"),
    max_msg_fds = ProtoField.uint64("vfiouser.version.max_msg_fds", "max_msg_fds"),
    max_data_xfer_size = ProtoField.uint64("vfiouser.version.max_data_xfer_size", "max_data_xfer_size"),
    max_dma_maps = ProtoField.uint64("vfiouser.version.max_dma_maps", "max_dma_maps"),
    pgsizes = ProtoField.uint64("vfiouser.version.pgsizes", "pgsizes"),
    migration_pgsize = ProtoField.uint64("vfiouser.version.migration.pgsize", "migration.pgsize"),
    write_multiple = ProtoField.string("vfiouser.version.write_multiple", "write_multiple"),
    twin_supported = ProtoField.string("vfiouser.version.twin_socket.supported", "twin_socket.supported"),
    twin_index = ProtoField.uint64("vfiouser.version.twin_socket.fd_index", "twin_socket.fd_index"),

    argsz = ProtoField.uint32("vfiouser.argsz", "argsz"),
    region = ProtoField.uint32("vfiouser.region", "Region", base.DEC, REGIONS),
    offset = ProtoField.uint64("vfiouser.offset", "Offset", base.HEX),
    count = ProtoField.uint64("vfiouser.count", "Count"),
    value = ProtoField.uint64("vfiouser.value", "Value", base.HEX),
    data = ProtoField.bytes("vfiouser.data", "Data"),
    address = ProtoField.uint64("vfiouser.address", "Address", base.HEX),
    length = ProtoField.uint64("vfiouser.length", "Length"),
    reserved = ProtoField.uint32("vfiouser.reserved", "Reserved", base.HEX),

    map_flags = ProtoField.uint32("vfiouser.dma_map.flags", "Flags", base.HEX),
    map_read = ProtoField.bool("vfiouser.dma_map.readable", "Readable", 32, nil, 0x1),
    map_write = ProtoField.bool("vfiouser.dma_map.writeable", "Writeable", 32, nil, 0x2),
    unmap_flags = ProtoField.uint32("vfiouser.dma_unmap.flags", "Flags", base.HEX),
    unmap_dirty = ProtoField.bool("vfiouser.dma_unmap.dirty_bitmap", "Dirty bitmap wanted", 32, nil, 0x1),
    unmap_all = ProtoField.bool("vfiouser.dma_unmap.all", "All", 32, nil, 0x2),
    page_size = ProtoField.uint64("vfiouser.bitmap.page_size", "Page size"),
    bitmap_size = ProtoField.uint64("vfiouser.bitmap.size", "Bitmap size"),
    bitmap = ProtoField.bytes("vfiouser.bitmap.data", "Bitmap"),

    device_flags = ProtoField.uint32("vfiouser.device.flags", "Flags", base.HEX),
    device_reset = ProtoField.bool("vfiouser.device.reset", "Has a reset", 32, nil, 0x1),
    device_pci = ProtoField.bool("vfiouser.device.pci", "Is a PCI function", 32, nil, 0x2),
    regions = ProtoField.uint32("vfiouser.device.regions", "Regions"),
    irqs = ProtoField.uint32("vfiouser.device.irqs", "Interrupt indexes"),

    region_flags = ProtoField.uint32("vfiouser.region.flags", "Flags", base.HEX),
    region_read = ProtoField.bool("vfiouser.region.read", "Readable", 32, nil, 0x1),
    region_write = ProtoField.bool("vfiouser.region.write", "Writeable", 32, nil, 0x2),
    region_mmap = ProtoField.bool("vfiouser.region.mmap", "Mappable", 32, nil, 0x4),
    region_caps = ProtoField.bool("vfiouser.region.caps", "Has capabilities", 32, nil, 0x8),
    cap_offset = ProtoField.uint32("vfiouser.region.cap_offset", "Offset of the first capability"),
    region_size = ProtoField.uint64("vfiouser.region.size", "Size"),
    region_offset = ProtoField.uint64("vfiouser.region.offset", "Offset for mmap", base.HEX),
    cap_id = ProtoField.uint16("vfiouser.cap.id", "Capability", base.DEC, CAPABILITIES),
    cap_version = ProtoField.uint16("vfiouser.cap.version", "Version"),
    cap_next = ProtoField.uint32("vfiouser.cap.next", "Offset of the next"),
    cap_type = ProtoField.uint32("vfiouser.cap.type", "Type", base.HEX),
    cap_subtype = ProtoField.uint32("vfiouser.cap.subtype", "Subtype", base.HEX),
    areas = ProtoField.uint32("vfiouser.cap.areas", "Areas"),
    area_offset = ProtoField.uint64("vfiouser.cap.area.offset", "Offset", base.HEX),
    area_size = ProtoField.uint64("vfiouser.cap.area.size", "Size"),

    io_flags = ProtoField.uint32("vfiouser.io_fds.flags", "Flags", base.HEX),
    io_count = ProtoField.uint32("vfiouser.io_fds.count", "Sub-regions"),
    io_size = ProtoField.uint64("vfiouser.io_fds.size", "Size"),
    io_index = ProtoField.uint32("vfiouser.io_fds.fd_index", "Descriptor"),
    io_type = ProtoField.uint32("vfiouser.io_fds.type", "Type", base.DEC, FD_TYPES),
    io_data = ProtoField.uint64("vfiouser.io_fds.datamatch", "Data to match, or user data", base.HEX),

    irq = ProtoField.uint32("vfiouser.irq.index", "Interrupt index", base.DEC, IRQS),
    irq_flags = ProtoField.uint32("vfiouser.irq.flags", "Flags", base.HEX),
    irq_eventfd = ProtoField.bool("vfiouser.irq.eventfd", "By eventfd", 32, nil, 0x1),
    irq_maskable = ProtoField.bool("vfiouser.irq.maskable", "Maskable", 32, nil, 0x2),
    irq_automasked = ProtoField.bool("vfiouser.irq.automasked", "Masks itself", 32, nil, 0x4),
    irq_noresize = ProtoField.bool("vfiouser.irq.noresize", "Enabled as a set", 32, nil, 0x8),
    irq_count = ProtoField.uint32("vfiouser.irq.count", "Vectors"),
    irq_start = ProtoField.uint32("vfiouser.irq.start", "First vector"),
    set_none = ProtoField.bool("vfiouser.irq.set.none", "No data", 32, nil, 0x01),
    set_bool = ProtoField.bool("vfiouser.irq.set.bool", "A byte for each vector", 32, nil, 0x02),
    set_eventfd = ProtoField.bool("vfiouser.irq.set.eventfd", "A descriptor for each vector", 32, nil, 0x04),
    set_mask = ProtoField.bool("vfiouser.irq.set.mask", "Mask", 32, nil, 0x08),
    set_unmask = ProtoField.bool("vfiouser.irq.set.unmask", "Unmask", 32, nil, 0x10),
    set_trigger = ProtoField.bool("vfiouser.irq.set.trigger", "Trigger", 32, nil, 0x20),

    writes = ProtoField.uint64("vfiouser.writes", "Writes"),

    feature = ProtoField.uint32("vfiouser.feature.index", "Feature", base.DEC, FEATURES, 0x0000ffff),
    feature_flags = ProtoField.uint32("vfiouser.feature.flags", "Flags", base.HEX),
    feature_get = ProtoField.bool("vfiouser.feature.get", "Get", 32, nil, 0x10000),
    feature_set = ProtoField.bool("vfiouser.feature.set", "Set", 32, nil, 0x20000),
    feature_probe = ProtoField.bool("vfiouser.feature.probe", "Probe", 32, nil, 0x40000),
    mig_flags = ProtoField.uint64("vfiouser.migration.flags", "Flags", base.HEX),
    mig_stop_copy = ProtoField.bool("vfiouser.migration.stop_copy", "STOP_COPY", 32, nil, 0x1),
    mig_p2p = ProtoField.bool("vfiouser.migration.p2p", "P2P", 32, nil, 0x2),
    mig_pre_copy = ProtoField.bool("vfiouser.migration.pre_copy", "PRE_COPY", 32, nil, 0x4),
    mig_state = ProtoField.uint32("vfiouser.migration.state", "State", base.DEC, STATES),
    mig_fd = ProtoField.int32("vfiouser.migration.data_fd", "data_fd"),
    mig_size = ProtoField.uint32("vfiouser.migration.size", "Size"),
    ranges = ProtoField.uint32("vfiouser.logging.ranges", "Ranges"),
}

local e = {
    malformed = ProtoExpert.new("vfiouser.malformed", "Malformed", expert.group.MALFORMED, expert.severity.ERROR),
    violation = ProtoExpert.new("vfiouser.violation", "Against the protocol", expert.group.PROTOCOL, expert.severity.WARN),
    refused = ProtoExpert.new("vfiouser.refused", "Refused", expert.group.RESPONSE_CODE, expert.severity.NOTE),
    unmatched = ProtoExpert.new("vfiouser.unmatched", "Unmatched", expert.group.SEQUENCE, expert.severity.NOTE),
    cut = ProtoExpert.new("vfiouser.cut", "Cut by the capture", expert.group.UNDECODED, expert.severity.NOTE),
}

-- Lists without names for the numbers: Wireshark takes any order.
local fields, experts = {}, {}
for _, field in pairs(f) do fields[#fields + 1] = field end
for _, one in pairs(e) do experts[#experts + 1] = one end
vfio.fields = fields
vfio.experts = experts

-- Commands that wait for their reply, how many each sender has sent, and what was found on the first pass, by frame.
local pending, sent, command_of, reply_of = {}, {}, {}, {}

function vfio.init()
    pending, sent, command_of, reply_of = {}, {}, {}, {}
end

local function has(number, flag)
    return math.floor(number / flag) % 2 == 1
end

local function hex(range)
    local digits = range:le_uint64():tohex()
    return "0x" .. string.gsub(digits, "^0+(%x)", "%1")
end

local function name_of(names, number, kind)
    return names[number] or string.format("%s %d", kind, number)
end

-- The body of a message, read from its start. A read beyond the end of the message, or of what the capture kept, returns nil, and is said
-- once; reads after it return nil too.
local Body = {}
Body.__index = Body

function Body.new(tvb, start, length, tree)
    return setmetatable({ tvb = tvb, at = start, start = start, stop = start + length, tree = tree, whole = true, shown = 0 }, Body)
end

-- Whether one more capability, or entry of an array, is shown.
function Body:shows_one()
    self.shown = self.shown + 1
    return self.shown <= MOST_SHOWN
end

function Body:left()
    return self.stop - self.at
end

-- Whether so many bytes are there.
function Body:reach(count, what)
    if not self.whole then return false end
    if count > self:left() then
        self.whole = false
        self.tree:add_proto_expert_info(e.malformed, string.format("the message ends within %s: %d bytes are left of %.0f", what, self:left(), count))
        return false
    end
    if self.at + count > self.tvb:captured_len() then
        self.whole = false
        self.tree:add_proto_expert_info(e.cut, "the capture has no more of this message")
        return false
    end
    return true
end

-- Adds a field of so many bytes.
function Body:add(field, count, what, tree)
    if not self:reach(count, what) then return nil end
    local range = self.tvb(self.at, count)
    self.at = self.at + count
    return range, (tree or self.tree):add_le(field, range)
end

function Body:u32(field, what, tree)
    local range, item = self:add(field, 4, what, tree)
    return range and range:le_uint(), item
end

-- Adds flags, and each of their bits below them.
function Body:flags(field, count, what, bits, tree)
    local range, item = self:add(field, count, what, tree)
    if not range then return nil end
    for _, bit in ipairs(bits) do item:add_le(bit, range(0, 4)) end
    return range(0, 4):le_uint()
end

function Body:skip(count, what)
    if not self:reach(count, what) then return false end
    self.at = self.at + count
    return true
end

-- Passes what is more than is shown.
function Body:omit(count, what, tree)
    if self:skip(count, what) then (tree or self.tree):add(vfio, string.format("%.0f bytes more of %s, which are not shown", count, what)) end
end

-- Adds data of a length that the message claims; where the capture cut it, what is there.
function Body:data(count, tree)
    if not self.whole or count == 0 then return nil end
    local claimed = count
    if count > self:left() then
        self.tree:add_proto_expert_info(e.malformed, string.format("%d bytes of data are left of %.0f", self:left(), count))
        count, self.whole = self:left(), false
    end
    local kept = math.min(count, self.tvb:captured_len() - self.at)
    if kept < count then
        self.tree:add_proto_expert_info(e.cut, string.format("the capture has %d of %.0f bytes of data", math.max(kept, 0), claimed))
    end
    if kept <= 0 then
        self.at = self.at + count
        return nil
    end
    local range = self.tvb(self.at, kept)
    tree = tree or self.tree
    tree:add(f.data, range)
    self.at = self.at + count
    if kept == claimed and kept <= 8 then
        tree:add_le(f.value, range)
        return range
    end
    return nil
end

-- What is left is more than the command has.
function Body:finish()
    if not self.whole or self:left() <= 0 then return end
    self.tree:add_proto_expert_info(e.malformed, string.format("%d bytes more than this message has", self:left()))
    self:data(self:left())
end

local function violation(context, text)
    context.tree:add_proto_expert_info(e.violation, text)
end

local function malformed(context, text)
    context.tree:add_proto_expert_info(e.malformed, text)
end

local function say(context, text)
    context.said = context.said .. text
end

local function version(body, context)
    local major, minor = body:add(f.major, 2, "the major version"), body:add(f.minor, 2, "the minor version")
    if not minor then return end
    say(context, string.format(" %d.%d", major:le_uint(), minor:le_uint()))
    local length = math.min(body:left(), body.tvb:captured_len() - body.at)
    if length <= 0 then return end
    local range = body.tvb(body.at, length)
    local text = body.tvb(body.at, math.min(length, MOST_PARSED)):string()
    local item = body.tree:add(f.json, range)
    if range(length - 1, 1):uint() ~= 0 and length == body:left() then
        malformed(context, "no NUL ends the capabilities")
    end
    for _, key in ipairs({ "max_msg_fds", "max_data_xfer_size", "max_dma_maps", "pgsizes" }) do
        local digits = string.match(text, '"' .. key .. '"%s*:%s*(%d+)')
        if digits and #digits < 20 then item:add(f[key], range, UInt64(digits)) end
    end
    local multiple = string.match(text, '"write_multiple"%s*:%s*(%a+)')
    if multiple then item:add(f.write_multiple, range, multiple) end
    local migration = string.match(text, '"migration"%s*:%s*(%b{})')
    local pages = migration and string.match(migration, '"pgsize"%s*:%s*(%d+)')
    if pages and #pages < 20 then item:add(f.migration_pgsize, range, UInt64(pages)) end
    local twin = string.match(text, '"twin_socket"%s*:%s*(%b{})')
    if twin then
        local supported, index = string.match(twin, '"supported"%s*:%s*(%a+)'), string.match(twin, '"fd_index"%s*:%s*(%d+)')
        if supported then item:add(f.twin_supported, range, supported) end
        if index and #index < 20 then item:add(f.twin_index, range, UInt64(index)) end
    end
    body:skip(body:left(), "the capabilities")
end

local function dma_map(body, context)
    local argsz = body:u32(f.argsz, "argsz")
    body:flags(f.map_flags, 4, "the flags", { f.map_read, f.map_write })
    body:add(f.offset, 8, "the offset")
    local address = body:add(f.address, 8, "the address")
    local length = body:add(f.length, 8, "the size")
    if not length then return end
    say(context, string.format(" %s, %s bytes", hex(address), tostring(length:le_uint64())))
    if argsz ~= 32 then violation(context, string.format("argsz is %d, and 32 in this message", argsz)) end
    if context.descriptors > 1 then violation(context, "more than one descriptor") end
end

local function dma_unmap(body, context)
    body:u32(f.argsz, "argsz")
    local flags = body:flags(f.unmap_flags, 4, "the flags", { f.unmap_dirty, f.unmap_all })
    local address = body:add(f.address, 8, "the address")
    local length = body:add(f.length, 8, "the size")
    if not length then return end
    say(context, has(flags, 2) and " all" or string.format(" %s, %s bytes", hex(address), tostring(length:le_uint64())))
    if not has(flags, 1) then return end
    body:add(f.page_size, 8, "the page size")
    local size = body:add(f.bitmap_size, 8, "the bitmap's size")
    if not size or not context.is_reply then return end
    local count = math.min(body:left(), body.tvb:captured_len() - body.at)
    if count > 0 then body.tree:add(f.bitmap, body.tvb(body.at, count)) end
    body:skip(body:left(), "the bitmap")
end

local function device_info(body, context)
    body:u32(f.argsz, "argsz")
    body:flags(f.device_flags, 4, "the flags", { f.device_reset, f.device_pci })
    local regions, irqs = body:u32(f.regions, "num_regions"), body:u32(f.irqs, "num_irqs")
    if irqs and context.is_reply then say(context, string.format(" %d regions, %d interrupt indexes", regions, irqs)) end
end

local function sparse_mmap(body, tree)
    local areas = body:u32(f.areas, "the number of areas", tree)
    body:u32(f.reserved, "reserved bytes", tree)
    for index = 1, areas or 0 do
        if not body:reach(16, "the areas") then return end
        if not body:shows_one() then return body:omit((areas - index + 1) * 16, "the areas", tree) end
        local range = body.tvb(body.at, 16)
        local area = tree:add(vfio, range, string.format("Area %d: %s bytes at %s", index - 1, tostring(range(8, 8):le_uint64()), hex(range(0, 8))))
        body:add(f.area_offset, 8, "an area", area)
        body:add(f.area_size, 8, "an area", area)
    end
end

-- The place of the next capability behind one; the end of the message behind the last.
local function after(seen, offset, stop)
    for other in pairs(seen) do
        if other > offset and other < stop then stop = other end
    end
    return stop
end

-- Follows the chain; offsets are from the start of the body.
local function capabilities(body, context, next)
    if next == 0 then return end
    local seen, stop = {}, body.stop - body.start
    if next > 32 and next <= stop then body:data(next - 32) end
    while next ~= 0 and body.whole do
        if seen[next] then
            malformed(context, "the capabilities go in a circle")
            break
        end
        if next < 32 or next > stop then
            malformed(context, string.format("a capability at %d, outside of the message", next))
            break
        end
        body.at = body.start + next
        if not body:shows_one() then
            body:omit(body:left(), "the capabilities")
            break
        end
        local here = next
        seen[here] = true
        if not body:reach(8, "a capability") then break end
        local range = body.tvb(body.at, 8)
        local id = range(0, 2):le_uint()
        local tree = body.tree:add(vfio, range, "Capability: " .. name_of(CAPABILITIES, id, "kind"))
        body:add(f.cap_id, 2, "a capability", tree)
        body:add(f.cap_version, 2, "a capability", tree)
        next = body:u32(f.cap_next, "a capability", tree)
        if id == 1 then
            sparse_mmap(body, tree)
        elseif id == 2 then
            body:u32(f.cap_type, "the type", tree)
            body:u32(f.cap_subtype, "the subtype", tree)
        end
        -- What no field has, up to the next capability.
        local rest = next == 0 and after(seen, here, stop) or math.min(next, stop)
        if body.whole and body.start + rest > body.at then body:data(body.start + rest - body.at, tree) end
    end
    if body.whole then body.at = body.stop end
end

local function region_info(body, context)
    body:u32(f.argsz, "argsz")
    local flags = body:flags(f.region_flags, 4, "the flags", { f.region_read, f.region_write, f.region_mmap, f.region_caps })
    local region = body:u32(f.region, "the index")
    local first = body:u32(f.cap_offset, "cap_offset")
    local size = body:add(f.region_size, 8, "the size")
    if not body:add(f.region_offset, 8, "the offset") then return end
    say(context, " " .. name_of(REGIONS, region, "region"))
    if not context.is_reply then return end
    say(context, string.format(", %s bytes", tostring(size:le_uint64())))
    if has(flags, 8) and body:left() > 0 then capabilities(body, context, first) end
end

local function region_io_fds(body, context)
    body:u32(f.argsz, "argsz")
    body:u32(f.io_flags, "the flags")
    local region, count = body:u32(f.region, "the index"), body:u32(f.io_count, "the count")
    if not count then return end
    say(context, " " .. name_of(REGIONS, region, "region"))
    if not context.is_reply then return end
    say(context, string.format(", %d sub-regions", count))
    if count == 0 or body:left() == 0 then return end
    -- The specification does not fix the size of an entry: they share what there is evenly.
    local each = math.floor(body:left() / count)
    if each < 40 then
        malformed(context, string.format("%d bytes for %d sub-regions", body:left(), count))
        return
    end
    for index = 1, count do
        if not body:reach(each, "the sub-regions") then return end
        if not body:shows_one() then return body:omit(body:left(), "the sub-regions") end
        local start = body.at
        local range = body.tvb(start, each)
        local tree = body.tree:add(vfio, range, string.format("Sub-region %d: %s", index - 1, hex(range(0, 8))))
        body:add(f.offset, 8, "a sub-region", tree)
        body:add(f.io_size, 8, "a sub-region", tree)
        body:u32(f.io_index, "a sub-region", tree)
        body:u32(f.io_type, "a sub-region", tree)
        body:u32(f.io_flags, "a sub-region", tree)
        body:u32(f.reserved, "a sub-region", tree)
        body:add(f.io_data, 8, "a sub-region", tree)
        body.at = start + each
    end
end

local function irq_info(body, context)
    body:u32(f.argsz, "argsz")
    body:flags(f.irq_flags, 4, "the flags", { f.irq_eventfd, f.irq_maskable, f.irq_automasked, f.irq_noresize })
    local index, count = body:u32(f.irq, "the index"), body:u32(f.irq_count, "the count")
    if not count then return end
    say(context, " " .. name_of(IRQS, index, "index"))
    if context.is_reply then say(context, string.format(", %d vectors", count)) end
end

-- The only one of three flags that is set; nil for none or several.
local function only(flags, first, names)
    local found, count = nil, 0
    for index, name in ipairs(names) do
        if has(flags, first * 2 ^ (index - 1)) then found, count = name, count + 1 end
    end
    return count == 1 and found or nil
end

local function set_irqs(body, context)
    local argsz = body:u32(f.argsz, "argsz")
    local flags = body:flags(f.irq_flags, 4, "the flags", { f.set_none, f.set_bool, f.set_eventfd, f.set_mask, f.set_unmask, f.set_trigger })
    local index, start, count = body:u32(f.irq, "the index"), body:u32(f.irq_start, "start"), body:u32(f.irq_count, "count")
    if not count then return end
    local data, action = only(flags, 1, { "", " by byte", " by eventfd" }), only(flags, 8, { "mask", "unmask", "trigger" })
    say(context, string.format(" %s %s%s, %d from %d", name_of(IRQS, index, "index"), action or "?", data or " ?", count, start))
    if not data then malformed(context, "not one of the data flags") end
    if not action then malformed(context, "not one of the action flags") end
    if argsz ~= body.stop - body.start then
        violation(context, string.format("argsz is %d, and the message has %d bytes", argsz, body.stop - body.start))
    end
    if has(flags, 2) then body:data(count) end
    if has(flags, 4) and context.descriptors > 0 and context.descriptors ~= count then
        violation(context, string.format("%d descriptors for %d vectors", context.descriptors, count))
    end
end

local function region_access(has_data)
    return function(body, context)
        local offset, region = body:add(f.offset, 8, "the offset"), body:u32(f.region, "the region")
        local count = body:add(f.count, 4, "the count")
        if not count then return end
        count = count:le_uint()
        say(context, string.format(" %s+%s, %d bytes", name_of(REGIONS, region, "region"), hex(offset), count))
        if not has_data then return end
        local value = body:data(count)
        if value then say(context, " = " .. hex(value)) end
    end
end

-- QEMU and libvfio-user send the count of the reply to DMA_WRITE with 8 bytes; the specification's table has 4 there.
local function dma_access(has_data, may_be_short)
    return function(body, context)
        local address = body:add(f.address, 8, "the address")
        local count = body:add(f.count, may_be_short and body:left() == 4 and 4 or 8, "the count")
        if not count then return end
        say(context, string.format(" %s, %s bytes", hex(address), tostring(count:le_uint64())))
        if not has_data then return end
        body:data(count:le_uint64():tonumber())
    end
end

local function write_multi(body, context)
    local range = body:add(f.writes, 8, "the number of writes")
    if not range then return end
    say(context, string.format(" %s writes", tostring(range:le_uint64())))
    if context.is_reply then return end
    local count = range:le_uint64():tonumber()
    if count * 24 ~= body:left() then
        malformed(context, string.format("%d bytes for %s writes of 24", body:left(), tostring(range:le_uint64())))
    end
    for index = 1, math.min(count, math.ceil(body:left() / 24)) do
        if not body:reach(24, "the writes") then return end
        if not body:shows_one() then return body:omit(body:left(), "the writes") end
        local stop = body.at + 24
        local write = body.tvb(body.at, 24)
        local region, length = write(8, 4):le_uint(), write(12, 4):le_uint()
        local tree = body.tree:add(vfio, write, string.format("Write %d: %s+%s", index - 1, name_of(REGIONS, region, "region"), hex(write(0, 8))))
        body:add(f.offset, 8, "a write", tree)
        body:add(f.region, 4, "a write", tree)
        body:add(f.count, 4, "a write", tree)
        if length > 8 then
            malformed(context, string.format("a write of %d bytes, at most 8 have a place", length))
        elseif length > 0 then
            tree:add_le(f.value, write(16, length))
        end
        body.at = stop
    end
    if count * 24 > body:left() then body:skip(body:left(), "the writes") end
end

local function bitmap(body)
    local kept = math.min(body:left(), body.tvb:captured_len() - body.at)
    if kept > 0 then body.tree:add(f.bitmap, body.tvb(body.at, kept)) end
    body:skip(body:left(), "the bitmap")
end

local function feature(body, context)
    body:u32(f.argsz, "argsz")
    local flags = body:flags(f.feature_flags, 4, "the flags", { f.feature, f.feature_get, f.feature_set, f.feature_probe })
    if not flags then return end
    local index, get, set, probe = flags % 0x10000, has(flags, 0x10000), has(flags, 0x20000), has(flags, 0x40000)
    say(context, string.format(
        " %s%s%s%s", name_of(FEATURES, index, "feature"), probe and " probe" or "", get and " get" or "", set and " set" or ""))
    if not (get or set or probe) then malformed(context, "neither get, set nor probe") end
    if get and set and not probe then malformed(context, "get and set together, without probe") end
    -- A probe has no data; a request to get has none but the range of a report.
    if probe then return end
    local wants = (set or context.is_reply) and index or (index == 8 and 8) or nil
    if wants == 1 then
        if not context.is_reply then return end
        body:flags(f.mig_flags, 8, "the flags", { f.mig_stop_copy, f.mig_p2p, f.mig_pre_copy })
    elseif wants == 2 then
        local state = body:u32(f.mig_state, "the state")
        body:add(f.mig_fd, 4, "data_fd")
        if state then say(context, " " .. name_of(STATES, state, "state")) end
    elseif wants == 6 then
        body:add(f.page_size, 8, "the page size")
        local ranges = body:u32(f.ranges, "the number of ranges")
        body:u32(f.reserved, "reserved bytes")
        for number = 1, ranges or 0 do
            if not body:reach(16, "the ranges") then return end
            if not body:shows_one() then return body:omit((ranges - number + 1) * 16, "the ranges") end
            local range = body.tvb(body.at, 16)
            local tree = body.tree:add(vfio, range, string.format("Range %d: %s", number - 1, hex(range(0, 8))))
            body:add(f.address, 8, "a range", tree)
            body:add(f.length, 8, "a range", tree)
        end
    elseif wants == 8 then
        body:add(f.address, 8, "the address")
        body:add(f.length, 8, "the length")
        if body:add(f.page_size, 8, "the page size") and context.is_reply then bitmap(body) end
    elseif wants and wants ~= 7 then
        body:data(body:left())
    end
end

local function migration_data(has_data)
    return function(body, context)
        body:u32(f.argsz, "argsz")
        local size = body:u32(f.mig_size, "the size")
        if not size then return end
        say(context, string.format(" %d bytes", size))
        if has_data then body:data(size) end
    end
end

local function nothing() end

local REQUESTS = {
    [VERSION] = version, [DMA_MAP] = dma_map, [DMA_UNMAP] = dma_unmap, [GET_INFO] = device_info, [GET_REGION_INFO] = region_info,
    [GET_REGION_IO_FDS] = region_io_fds, [GET_IRQ_INFO] = irq_info, [SET_IRQS] = set_irqs, [REGION_READ] = region_access(false),
    [REGION_WRITE] = region_access(true), [DMA_READ] = dma_access(false), [DMA_WRITE] = dma_access(true), [RESET] = nothing,
    [REGION_WRITE_MULTI] = write_multi, [FEATURE] = feature, [MIG_DATA_READ] = migration_data(false),
    [MIG_DATA_WRITE] = migration_data(true),
}

local REPLIES = {
    [VERSION] = version, [DMA_MAP] = nothing, [DMA_UNMAP] = dma_unmap, [GET_INFO] = device_info, [GET_REGION_INFO] = region_info,
    [GET_REGION_IO_FDS] = region_io_fds, [GET_IRQ_INFO] = irq_info, [SET_IRQS] = nothing, [REGION_READ] = region_access(true),
    [REGION_WRITE] = region_access(false), [DMA_READ] = dma_access(true), [DMA_WRITE] = dma_access(false, true), [RESET] = nothing,
    [REGION_WRITE_MULTI] = write_multi, [FEATURE] = feature, [MIG_DATA_READ] = migration_data(true), [MIG_DATA_WRITE] = nothing,
}

-- Commands with one id and one command, the oldest first.
local function oldest(queue)
    return queue and queue[queue.first]
end

local function take(queue)
    local entry = queue[queue.first]
    queue[queue.first] = nil
    queue.first = queue.first + 1
    return entry
end

-- The command of a reply: the oldest with its id and its command, since several may be under way with one id, and are answered in order;
-- where there is none, the oldest with its id.
local function asked_by(queues, kind, now)
    local queue = queues[kind]
    if not oldest(queue) then
        queue = nil
        for _, other in pairs(queues) do
            local entry = oldest(other)
            if entry and not (queue and oldest(queue).frame < entry.frame) then queue = other end
        end
        return queue and take(queue)
    end
    while queue.last > queue.first and now - oldest(queue).number > MOST_WAITING do take(queue) end
    return take(queue)
end

-- Notes a command, or finds the command of a reply; on the first pass only, since ids are used again.
local function match(pinfo, context)
    if pinfo.visited then return end
    local from = context.is_reply and 1 - context.direction or context.direction
    local sender = string.format("%d:%d:%d", context.session, context.socket, from)
    local key = string.format("%s:%d", sender, context.id)
    -- All unknown commands are one kind, so that there are few.
    local kind = COMMANDS[context.command] and context.command or 0
    local queues = pending[key]
    if not context.is_reply then
        sent[sender] = (sent[sender] or 0) + 1
        if context.no_reply then return end
        if not queues then
            queues = {}
            pending[key] = queues
        end
        local queue = queues[kind] or { first = 1, last = 0 }
        queues[kind] = queue
        queue.last = queue.last + 1
        queue[queue.last] = { frame = pinfo.number, time = pinfo.rel_ts, command = context.command, number = sent[sender] }
        return
    end
    local asked = queues and asked_by(queues, kind, sent[sender])
    if not asked then return end
    command_of[pinfo.number] = { frame = asked.frame, time = pinfo.rel_ts - asked.time, command = asked.command }
    reply_of[asked.frame] = pinfo.number
end

local function show_match(pinfo, context)
    if context.is_reply then
        local asked = command_of[pinfo.number]
        if not asked then
            context.tree:add_proto_expert_info(e.unmatched, "no command of this reply is in the capture")
            return
        end
        context.tree:add(f.response_to, asked.frame):set_generated()
        local seconds = math.floor(asked.time)
        context.tree:add(f.time, NSTime.new(seconds, math.min(math.floor((asked.time - seconds) * 1e9 + 0.5), 999999999))):set_generated()
        if asked.command ~= context.command then malformed(context, "the command with this id was another: " .. name_of(COMMANDS, asked.command, "command")) end
    elseif reply_of[pinfo.number] then
        context.tree:add(f.response_in, reply_of[pinfo.number]):set_generated()
    elseif pinfo.visited and not context.no_reply then
        context.tree:add_proto_expert_info(e.unmatched, "no reply to this command is in the capture")
    end
end

local function header(tvb, start, context)
    local tree = context.tree
    context.id, context.command = tvb(start, 2):le_uint(), tvb(start + 2, 2):le_uint()
    local size, flags = tvb(start + 4, 4):le_uint(), tvb(start + 8, 4):le_uint()
    local errno = tvb(start + 12, 4):le_uint()
    local kind = flags % 16
    context.is_reply, context.no_reply, context.is_error = kind == 1, has(flags, 0x10), has(flags, 0x20)
    tree:add_le(f.id, tvb(start, 2))
    tree:add_le(f.command, tvb(start + 2, 2))
    tree:add_le(f.size, tvb(start + 4, 4))
    local item = tree:add_le(f.flags, tvb(start + 8, 4))
    for _, bit in ipairs({ f.type, f.no_reply, f.is_error }) do item:add_le(bit, tvb(start + 8, 4)) end
    tree:add_le(f.errno, tvb(start + 12, 4))
    context.name = name_of(COMMANDS, context.command, "command")
    context.said = ""
    if not COMMANDS[context.command] then malformed(context, "an unknown command") end
    if kind > 1 then malformed(context, "an unknown type of message") end
    if flags >= 64 then violation(context, "reserved flags are set") end
    if size < HEADER_BYTES then malformed(context, "a size below that of the header") end
    if context.is_reply and context.is_error then
        local text = ERRNOS[errno] or string.format("errno %d", errno)
        say(context, ": " .. text)
        tree:add_proto_expert_info(e.refused, "refused: " .. text)
    end
    return size
end

function vfio.dissector(tvb, pinfo, root)
    pinfo.cols.protocol = "vfio-user"
    local tree = root:add(vfio, tvb())
    local reported = tvb:reported_len()
    if tvb:captured_len() < CAPTURE_BYTES then
        tree:add_proto_expert_info(e.malformed, "no header of the capture")
        pinfo.cols.info = "no header of the capture"
        return
    end
    local context = {
        tree = tree, direction = tvb(1, 1):uint() % 2, socket = tvb(2, 1):uint(), session = tvb(4, 4):le_uint(), descriptors = tvb(8, 4):le_uint(),
    }
    if tvb(0, 1):uint() ~= 1 then
        tree:add_proto_expert_info(e.malformed, "a capture of another version")
        pinfo.cols.info = "a capture of another version"
        return
    end
    tree:add(f.direction, tvb(1, 1))
    tree:add(f.socket, tvb(2, 1))
    tree:add(f.part, tvb(3, 1))
    tree:add_le(f.session, tvb(4, 4))
    tree:add_le(f.descriptors, tvb(8, 4))
    pinfo.cols.src = context.direction == 0 and "client" or "server"
    pinfo.cols.dst = context.direction == 0 and "server" or "client"
    local length = reported - CAPTURE_BYTES
    local is_part = has(tvb(3, 1):uint(), 1)
    if is_part then tree:add_proto_expert_info(e.malformed, "the stream ends or breaks here: this is what had arrived") end
    if length < HEADER_BYTES or tvb:captured_len() < CAPTURE_BYTES + HEADER_BYTES then
        if not is_part then tree:add_proto_expert_info(e.malformed, "no header of a message") end
        if tvb:captured_len() > CAPTURE_BYTES then tree:add(f.data, tvb(CAPTURE_BYTES)) end
        pinfo.cols.info = string.format("part of a header, %d bytes", length)
        return
    end

    local size = header(tvb, CAPTURE_BYTES, context)
    local what = context.is_reply and " reply" or (context.no_reply and " (no reply)" or "")
    if size ~= length and not is_part then
        malformed(context, string.format("a size of %d, and %d bytes", size, length))
    end
    if not is_part then
        match(pinfo, context)
        show_match(pinfo, context)
    end

    -- A part is decoded as far as it goes; what is beyond the size belongs to no message.
    local body_bytes = math.max(math.min(size, length) - HEADER_BYTES, 0)
    local body = Body.new(tvb, CAPTURE_BYTES + HEADER_BYTES, body_bytes, tree)
    local decode = (context.is_reply and REPLIES or REQUESTS)[context.command]
    if context.is_reply and context.is_error then
        if body_bytes > 0 then malformed(context, "a refusal is only a header") end
    elseif decode then
        decode(body, context)
        body:finish()
    elseif body_bytes > 0 then
        body:data(body_bytes)
    end
    pinfo.cols.info = string.format("%s%s%s%s", is_part and "part of " or "", context.name, what, context.said)
    tree:append_text(string.format(", session %d, %s%s", context.session, context.name, what))
end
