"""The decoder of codec.py as one resumable kernel: wire bytes in, columns out.

It follows the rules of that file event for event; numbers in brackets are theirs. Each event is EVENT_WORDS
int64 (bulk.EVENTS names their parts). Samples of DATA go to `values`, status words to `status`; the wire
bytes of every other event go to `raw`, for Python to unpack or show. Behind what `raw` holds lies the scratch
space. Inner functions take addresses, `_simd.py` says why.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from firmware_protocol._jit import inner, kernel
from firmware_protocol._simd import (
    LANES,
    SAMPLES,
    address,
    copy_lanes,
    crc_byte,
    crc_word,
    first_bit,
    load_i64,
    load_u8,
    load_u32,
    store_i64,
    store_u8,
    store_u32,
    unpack_int24,
)
from firmware_protocol.limits import CRC_SIZE, MAX_CODED, MAX_PACKET, MIN_PACKET, VERSION

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

EVENT_WORDS = 6  # int64 words of one event
BURST = 4  # events that one step of `scan` writes at most
STEPS = 4  # of a walk over code bytes before it is called back
STRETCH = (
    1728  # bytes: a stretch, rounded up to whole lanes, the lane behind it, and how far STEPS may lead astray
)
SCRATCH = 4 * STRETCH  # bytes behind what `raw` holds
CALM = 4  # DATA frames in a row, whole, before four are taken together
AHEAD = 4 * (MAX_CODED + 1) + 255 * STEPS + LANES  # bytes that then must be there
SLACK = SAMPLES  # elements behind `values` that unpack_int24 may touch

# Elements of `state`. Those before DISCARDING say how much the columns hold, and the caller resets them: of all,
# DATA frames, runs of them of one SHAPE (that of the last), and frames whose text Python has to look at.
N_EVENTS, N_VALUES, N_STATUS, N_RAW, N_DATA, N_RUNS, SHAPE, N_TEXT, DISCARDING, DISCARDED = range(10)
HAS_NONCE, NONCE, HARDWARE = range(10, 13)
STATE_SIZE = 13
SHAPE_BITS = 0xFFFF00FF  # of bytes 12 to 15 of DATA: n_channels, format, config_id

# Kinds of event; 0 is a frame, the others are codes.FaultKind in its order.
FRAME, UNDELIMITED, COBS, SHORT, CRC, UNSUPPORTED, HOST_ON_WIRE, FIELD, LENGTH, MISSING_DELIMITER = range(10)

# `tables` holds, one behind the other: the CRC table, (8, 256) uint32; `formats`, a row per format byte; and
# `packets`, a row per type; both int64. SAMPLE_SIZE is 0 where the format is illegal, SHORTEST is 0 for unknown
# types, AT is 0 where the length is fixed.
CRC_TABLE_SIZE = 4 * 8 * 256
SAMPLE_SIZE, PER_CONVERTER, STATUS_SIZE = range(3)
FORMAT_COLUMNS = 3
SHORTEST, AT, SIZE, EACH, MINIMUM, MAXIMUM, IS_DATA, IS_HOST, HAS_TEXT = range(9)
PACKET_COLUMNS = 9


@kernel
def scan(
    data: U8,
    begin: int,
    stop: int,
    end: int,
    base: int,
    state: I64,
    tables: U8,
    events: I64,
    values: I32,
    status: I32,
    raw: U8,
) -> int:
    """Take up all stretches of data[:end] that begin in data[begin:stop]; `base` is the stream offset of
    data[0].

    Returns where it stopped: at `stop` or behind it, at the beginning of a stretch that is not complete, or
    earlier where `events` is full. Called again from there, with more data or room, it goes on.
    """
    wire = address(data)
    readable = wire + data.size
    table = address(tables)
    forms = table + CRC_TABLE_SIZE
    rules = forms + 8 * FORMAT_COLUMNS * 256
    event = address(events) + 8 * EVENT_WORDS * int(state[N_EVENTS])
    last = address(events) + 8 * (events.size - BURST * EVENT_WORDS)
    value, n_values = address(values), int(state[N_VALUES])
    word, n_status = address(status), int(state[N_STATUS])
    kept, n_raw = address(raw), int(state[N_RAW])
    n_data, n_runs, shape = int(state[N_DATA]), int(state[N_RUNS]), int(state[SHAPE])
    hardware = int(state[HARDWARE])
    at = begin
    calm = 0
    while at < stop and event <= last:
        scratch = kept + n_raw
        p = wire + at
        if calm >= CALM and at + AHEAD <= stop:
            lengths = _decode_four(p, readable, scratch)
            for k in range(4):
                n, packet = lengths[k], scratch + k * STRETCH + 1
                if (
                    n < 0
                    or not _intact(packet, n - 1, table, hardware)
                    or _judge(packet, n - 1, 0, 0, forms, rules) != FRAME
                    or not _rule(rules, packet, IS_DATA)
                ):
                    calm = 0  # the step below takes it
                    break
                tail = n | (n - 1) << 16
                _write_event(
                    event, base + at, load_i64(packet), load_i64(packet + 8), tail, n_values, n_status
                )
                n_runs += n_data == 0 or load_u32(packet + 12) & SHAPE_BITS != shape
                n_data += 1
                shape = load_u32(packet + 12) & SHAPE_BITS
                n_status += _samples(packet, forms, value + 4 * n_values, word + 4 * n_status)
                n_values += load_u8(packet + 12) * load_u8(packet + 13)
                event += 8 * EVENT_WORDS
                at += n + 1
            continue
        limit = min(end, at + MAX_CODED + 1)
        n = _copy_stretch(p, limit - at, readable, scratch)
        closed = n < limit - at
        if state[DISCARDING]:
            state[DISCARDING] = not closed
            state[DISCARDED] += n + closed
            at += n + closed
            continue
        if n == 0:
            at += 1
            continue
        if not closed:
            if n <= MAX_CODED:
                break
            n = MAX_CODED
        elif n <= MIN_PACKET:  # too short for any packet; dense delimiters make many of these
            i = 0
            while i < n:
                i += load_u8(p + i)
            kind = SHORT if i == n else COBS
            _write_event(event, base + at, 0, 0, n | kind << 32, n_raw, 0)
            event += 8 * EVENT_WORDS
            n_raw += n
            at += n + 1
            if p + LANES <= readable:  # delimiters that follow, up to seven, without a guess for each
                at = min(at + (first_bit(load_i64(p + n + 1) | 1 << 62) >> 3), end)
            continue
        packet = scratch + 1
        ending = at + n
        kind = UNDELIMITED
        taken = 0
        size = 0
        if closed:  # (2)
            size = _decode(p, n, scratch)
            if size < 0:
                kind = COBS
            elif _intact(packet, size, table, hardware):
                taken = n
            else:
                kind = CRC
        if taken == 0:  # (3)
            taken, size = _prefix(p, n, packet, forms, rules)
            if taken and not _intact(packet, size, table, hardware):
                taken = 0
        if taken:
            kind = _judge(packet, size, int(state[HAS_NONCE]), int(state[NONCE]), forms, rules)
            if size < 16 + CRC_SIZE:  # what lies behind a short packet is no header
                for k in range(size - CRC_SIZE, 16):
                    store_u8(packet + k, 0)
            low, high = load_i64(packet), load_i64(packet + 8)
            n = taken
        else:  # (4)
            low = high = size = 0
        tail = n | size << 16 | kind << 32
        if kind == FRAME and _rule(rules, packet, IS_DATA):
            calm += 1
            _write_event(event, base + at, low, high, tail, n_values, n_status)
            n_runs += n_data == 0 or load_u32(packet + 12) & SHAPE_BITS != shape
            n_data += 1
            shape = load_u32(packet + 12) & SHAPE_BITS
            n_status += _samples(packet, forms, value + 4 * n_values, word + 4 * n_status)
            n_values += load_u8(packet + 12) * load_u8(packet + 13)
        else:
            calm = 0
            if kind == FRAME:
                state[N_TEXT] += _rule(rules, packet, HAS_TEXT)
            _write_event(event, base + at, low, high, tail, n_raw, 0)
            _copy(p, scratch, n)
            n_raw += n
        event += 8 * EVENT_WORDS
        at += n
        if taken == 0:
            state[DISCARDING] = not closed
            at += closed
        elif closed and at == ending:
            at += 1
        else:
            _write_event(event, base + at, 0, 0, MISSING_DELIMITER << 32, n_raw, 0)
            event += 8 * EVENT_WORDS
    state[N_EVENTS] = (event - address(events)) // (8 * EVENT_WORDS)
    state[N_VALUES] = n_values
    state[N_STATUS] = n_status
    state[N_RAW] = n_raw
    state[N_DATA] = n_data
    state[N_RUNS] = n_runs
    state[SHAPE] = shape
    return at


@inner
def _copy_stretch(p: int, limit: int, readable: int, target: int) -> int:
    """Copy the bytes at p before the first zero among `limit`; how many. `target` takes LANES bytes more."""
    n = 0
    while n < limit:
        if p + n + LANES <= readable:
            zeros = copy_lanes(p + n, target + n)
            if zeros:
                return min(n + first_bit(zeros), limit)
            n += LANES
        else:
            byte = load_u8(p + n)
            if byte == 0:
                return n
            store_u8(target + n, byte)
            n += 1
    return limit


@inner
def _decode(p: int, n: int, scratch: int) -> int:
    """COBS of a whole stretch that lies at `scratch` too: the packet is then at scratch + 1. Its size, or -1.

    Without a full block (code 255) the packet is the coded bytes with a zero for each code byte.
    """
    i = 0
    full = 0
    while i < n:
        code = load_u8(p + i)
        store_u8(scratch + i, 0)
        full += code == 255
        i += code
    if i != n:
        return -1
    if full == 0:
        return n - 1
    i = 0
    size = 0
    while i < n:
        code = load_u8(p + i)
        _copy(p + i + 1, scratch + 1 + size, code - 1)
        size += code - 1
        i += code
        if code < 255 and i < n:
            store_u8(scratch + 1 + size, 0)
            size += 1
    return size


@inner
def _decode_four(p: int, readable: int, scratch: int) -> tuple[int, int, int, int]:
    """COBS of the next four stretches, packets at scratch + 1, scratch + STRETCH + 1 …: their lengths on the wire.

    -1 where it takes more than replacing code bytes. The way from code byte to code byte waits for memory at each
    step; four of them side by side wait together. A walk that ends on its delimiter, a code byte 0, stays there; one
    that goes astray is called back behind it, where it no longer can end well, after STEPS: doing so at each step
    took a fifth of all time.
    """
    s0, s1, s2, s3 = scratch, scratch + STRETCH, scratch + 2 * STRETCH, scratch + 3 * STRETCH
    p0 = p
    n0 = _copy_stretch(p0, MAX_CODED + 1, readable, s0)
    p1 = p0 + n0 + 1
    n1 = _copy_stretch(p1, MAX_CODED + 1, readable, s1)
    p2 = p1 + n1 + 1
    n2 = _copy_stretch(p2, MAX_CODED + 1, readable, s2)
    p3 = p2 + n2 + 1
    n3 = _copy_stretch(p3, MAX_CODED + 1, readable, s3)
    i0 = i1 = i2 = i3 = 0
    f0 = f1 = f2 = f3 = 0  # 256 once a full block was there
    while (i0 < n0) | (i1 < n1) | (i2 < n2) | (i3 < n3):
        for _ in range(STEPS):
            c0, c1, c2, c3 = load_u8(p0 + i0), load_u8(p1 + i1), load_u8(p2 + i2), load_u8(p3 + i3)
            store_u8(s0 + i0, 0)
            store_u8(s1 + i1, 0)
            store_u8(s2 + i2, 0)
            store_u8(s3 + i3, 0)
            i0, i1, i2, i3 = i0 + c0, i1 + c1, i2 + c2, i3 + c3
            f0, f1, f2, f3 = f0 | c0 + 1, f1 | c1 + 1, f2 | c2 + 1, f3 | c3 + 1
        i0, i1, i2, i3 = min(i0, n0 + 1), min(i1, n1 + 1), min(i2, n2 + 1), min(i3, n3 + 1)
    return _plain(n0, i0, f0), _plain(n1, i1, f1), _plain(n2, i2, f2), _plain(n3, i3, f3)


@inner
def _plain(n: int, i: int, full: int) -> int:
    return n if i == n and full < 256 and MIN_PACKET < n <= MAX_CODED else -1


@inner
def _copy(p: int, target: int, n: int) -> None:
    k = 0
    while k + LANES <= n:
        copy_lanes(p + k, target + k)
        k += LANES
    while k < n:
        store_u8(target + k, load_u8(p + k))
        k += 1


@inner
def _prefix(p: int, n: int, packet: int, forms: int, rules: int) -> tuple[int, int]:
    """Decode whole blocks to `packet` up to the length its header states: bytes taken, 0 if none; length."""
    i = 0
    size = 0
    length = 0
    taken = 0
    zero = 0  # the last block stands for one, once another block follows
    while i < n:
        code = load_u8(p + i)
        if i + code > n:
            break
        if zero:
            store_u8(packet + size, 0)
        size += zero
        _copy(p + i + 1, packet + size, code - 1)
        size += code - 1
        zero = code < 255
        i += code
        if length == 0 and size > 0:
            shortest = _rule(rules, packet, SHORTEST)
            if shortest == 0:
                break
            if size >= shortest:
                length = _stated_length(packet, size, forms, rules)
                if length == 0:
                    break
        if length > 0:
            if size > length:
                break
            if size == length:
                taken = i
    return taken, length


@inner
def _rule(rules: int, packet: int, column: int) -> int:
    """A column of the table `packets` for the type of this packet."""
    return load_i64(rules + 8 * (PACKET_COLUMNS * (load_u8(packet) & 15) + column))


@inner
def _form(forms: int, packet: int, column: int) -> int:
    """A column of the table `formats` for the format byte of this DATA packet."""
    return load_i64(forms + 8 * (FORMAT_COLUMNS * load_u8(packet + 14) + column))


@inner
def _stated_length(packet: int, size: int, forms: int, rules: int) -> int:
    """As `_fields.stated_length`."""
    shortest = _rule(rules, packet, SHORTEST)
    if load_u8(packet) >> 4 != VERSION or shortest == 0:
        return 0
    if size < shortest:
        return shortest
    if _rule(rules, packet, IS_DATA):
        n_channels, n_samples = load_u8(packet + 12), load_u8(packet + 13)
        sample_size = _form(forms, packet, SAMPLE_SIZE)
        if sample_size == 0 or n_channels == 0 or n_channels > 64 or n_samples == 0 or n_samples > 32:
            return 0
        conversion = n_channels * sample_size
        status_size = _form(forms, packet, STATUS_SIZE)
        if status_size:
            per_converter = _form(forms, packet, PER_CONVERTER)
            n_converters = n_channels // per_converter
            if n_converters * per_converter != n_channels:
                return 0
            conversion += n_converters * status_size
        length = shortest + n_samples * conversion
        return length if length <= MAX_PACKET else 0
    at = _rule(rules, packet, AT)
    if at == 0:
        return shortest
    number = load_u8(packet + at)
    if _rule(rules, packet, SIZE) == 2:
        number |= load_u8(packet + at + 1) << 8
    if number < _rule(rules, packet, MINIMUM) or number > _rule(rules, packet, MAXIMUM):
        return 0
    return shortest + number * _rule(rules, packet, EACH)


@inner
def _intact(packet: int, size: int, table: int, hardware: int) -> bool:
    """Whether the last four bytes of the packet are its CRC-32C."""
    p = packet
    end = packet + size - CRC_SIZE
    register = 0xFFFFFFFF
    if hardware:
        while p + 8 <= end:
            register = crc_word(register, load_i64(p))
            p += 8
        while p < end:
            register = crc_byte(register, load_u8(p))
            p += 1
    else:
        # slicing by eight: Kounavis and Berry, IEEE Trans. Comput. 57(11):1550-1560, 2008
        while p + 8 <= end:
            low = load_u32(p) ^ register
            high = load_u32(p + 4)
            register = 0
            for k in range(4):
                register ^= load_u32(table + 4 * (256 * (7 - k) + (low >> 8 * k & 255)))
                register ^= load_u32(table + 4 * (256 * (3 - k) + (high >> 8 * k & 255)))
            p += 8
        while p < end:
            register = load_u32(table + 4 * ((register ^ load_u8(p)) & 255)) ^ register >> 8
            p += 1
    return register ^ 0xFFFFFFFF == load_u32(end)


@inner
def _judge(packet: int, size: int, has_nonce: int, nonce: int, forms: int, rules: int) -> int:
    """(5): the kind of a packet whose CRC is right."""
    if load_u8(packet) >> 4 != VERSION or load_u8(packet + 1) & 0x80:
        return UNSUPPORTED
    if _rule(rules, packet, IS_HOST) and not (has_nonce and size >= 12 and load_i64(packet + 4) == nonce):
        return HOST_ON_WIRE
    length = _stated_length(packet, size, forms, rules)
    if length != size and _rule(rules, packet, SHORTEST):
        return LENGTH if length else FIELD
    return LENGTH if size > MAX_PACKET else FRAME


@inner
def _samples(packet: int, forms: int, values: int, status: int) -> int:
    """Samples and status words of a DATA packet to their columns. How many status words."""
    sample_size = _form(forms, packet, SAMPLE_SIZE)
    group = n = load_u8(packet + 12) * load_u8(packet + 13)
    n_status = 0
    with_status = _form(forms, packet, STATUS_SIZE)
    if with_status:
        group = _form(forms, packet, PER_CONVERTER)
    p = packet + 16
    done = 0
    while done < n:
        if with_status:
            store_u32(status + 4 * n_status, load_u8(p) << 16 | load_u8(p + 1) << 8 | load_u8(p + 2))
            n_status += 1
            p += 3
        if sample_size == 3:
            for k in range(0, group, SAMPLES):  # up to 7 too many: overwritten by what follows
                unpack_int24(p + 3 * k, values + 4 * (done + k))
        else:
            for k in range(group):
                store_u32(values + 4 * (done + k), load_u32(p + 4 * k))
        p += sample_size * group
        done += group
    return n_status


@inner
def _write_event(
    event: int, offset: int, low: int, high: int, tail: int, first: int, first_status: int
) -> None:
    store_i64(event, offset)
    store_i64(event + 8, low)
    store_i64(event + 16, high)
    store_i64(event + 24, tail)
    store_i64(event + 32, first)
    store_i64(event + 40, first_status)
