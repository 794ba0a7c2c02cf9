"""The decoder of codec.py as one resumable kernel: wire bytes in, columns out.

It follows the rules of that file event for event; numbers in brackets are theirs. Each event is EVENT_WORDS
int64 (bulk.EVENTS names their parts). Samples of DATA go to `values`, status words to `status`; the wire bytes of
every other event go to `raw`, for Python to unpack or show. Behind what `raw` holds lies the scratch space.
"""

from __future__ import annotations

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

from firmware_protocol._jit import kernel
from firmware_protocol._simd import (
    LANES,
    copy_lanes,
    crc_byte,
    crc_word,
    first_bit,
    load_u8,
    load_u32,
    load_u64,
    store_u8,
    unpack_int24,
)
from firmware_protocol.limits import MAX_CODED, MAX_PACKET, MIN_PACKET, VERSION

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

EVENT_WORDS = 6  # int64 words of one event
BURST = 2  # events that one step of `scan` writes at most
SCRATCH = 704  # bytes behind `raw`: a stretch, rounded up to whole lanes, and the lane behind it
SLACK = 8  # elements behind `values` that unpack_int24 may touch

# Elements of `state`. All counters are of the arrays as they lie; the caller resets or moves on.
N_EVENTS, N_VALUES, N_STATUS, N_RAW, N_TEXT, DISCARDING, DISCARDED, HAS_NONCE, NONCE, HARDWARE = range(10)
STATE_SIZE = 10

# Kinds of event; 0 is a frame, the others are codes.FaultKind in its order.
FRAME, UNDELIMITED, COBS, SHORT, CRC, UNSUPPORTED, HOST_ON_WIRE, FIELD, LENGTH, MISSING_DELIMITER = range(10)

# Columns of `packets`, a row per type. SHORTEST is 0 for unknown types, AT is 0 where the length is fixed.
SHORTEST, AT, SIZE, EACH, MINIMUM, MAXIMUM, IS_DATA, IS_HOST, HAS_TEXT = range(9)

# Columns of `formats`, a row per format byte. SAMPLE_SIZE is 0 where the byte is illegal.
SAMPLE_SIZE, PER_CONVERTER, STATUS_SIZE = range(3)


@kernel
def scan(
    data: U8,
    begin: int,
    stop: int,
    end: int,
    base: int,
    state: I64,
    crc_table: I64,
    formats: I64,
    packets: I64,
    events: I64,
    values: I32,
    status: I32,
    raw: U8,
) -> int:
    """Take up all stretches of data[:end] that begin in data[begin:stop]; `base` is the stream offset of data[0].

    Returns where it stopped: at `stop` or behind it, at the beginning of a stretch that is not complete, or
    earlier where `events` is full. Called again from there, with more data or room, it goes on.
    """
    room = events.size // EVENT_WORDS - BURST
    at = begin
    while at < stop and state[N_EVENTS] <= room:
        scratch = state[N_RAW]
        limit = min(end, at + MAX_CODED + 1)
        n = _copy_stretch(data, at, limit, raw, scratch)
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
        kind = UNDELIMITED
        taken = 0
        size = 0
        if closed:  # (2)
            size = _decode(data, at, n, raw, scratch)
            if size < 0:
                kind = COBS
            elif size < MIN_PACKET:
                kind = SHORT
            elif _intact(raw, scratch + 1, size, crc_table, state[HARDWARE]):
                taken = n
            else:
                kind = CRC
        if taken == 0 and n > MIN_PACKET:  # (3)
            taken, size = _prefix(data, at, n, raw, scratch + 1, formats, packets)
            if taken > n - closed or not _intact(raw, scratch + 1, size, crc_table, state[HARDWARE]):
                taken = 0
        if taken:
            _judge(
                data, at, taken, base + at, raw, scratch + 1, size, state, formats, packets, events, values, status
            )
            at += taken
            if closed and taken == n:
                at += 1
            else:
                _write_event(events, state, base + at, 0, 0, MISSING_DELIMITER, 0, 0, state[N_RAW], 0)
        else:  # (4)
            _keep(data, at, n, raw, state)
            _write_event(events, state, base + at, n, 0, kind, 0, 0, state[N_RAW] - n, 0)
            state[DISCARDING] = not closed
            at += n + closed
    return at


@register_jitable
def _copy_stretch(data: U8, at: int, limit: int, target: U8, to: int) -> int:
    """Copy the bytes of data[at:limit] before its first zero; how many. `target` takes LANES bytes more."""
    n = 0
    while at + n < limit:
        if at + n + LANES <= data.size:
            zeros = copy_lanes(data, at + n, target, to + n)
            if zeros:
                return min(n + first_bit(zeros), limit - at)
            n += LANES
        else:
            byte = load_u8(data, at + n)
            if byte == 0:
                return n
            store_u8(target, to + n, byte)
            n += 1
    return limit - at


@register_jitable
def _decode(data: U8, at: int, n: int, raw: U8, scratch: int) -> int:
    """COBS of a whole stretch that lies in raw[scratch:] too: the packet is then at scratch + 1. Its size, or -1.

    Without a full block (code 255) the packet is the coded bytes with a zero for each code byte.
    """
    i = 0
    full = 0
    while i < n:
        code = load_u8(data, at + i)
        store_u8(raw, scratch + i, 0)
        full += code == 255
        i += code
    if i != n:
        return -1
    if full == 0:
        return n - 1
    i = 0
    to = scratch + 1
    while i < n:
        code = load_u8(data, at + i)
        _copy(data, at + i + 1, raw, to, code - 1)
        to += code - 1
        i += code
        if code < 255 and i < n:
            store_u8(raw, to, 0)
            to += 1
    return to - scratch - 1


@register_jitable
def _copy(data: U8, at: int, target: U8, to: int, n: int) -> None:
    k = 0
    while k + LANES <= n:
        copy_lanes(data, at + k, target, to + k)
        k += LANES
    while k < n:
        store_u8(target, to + k, load_u8(data, at + k))
        k += 1


@register_jitable
def _prefix(data: U8, at: int, n: int, raw: U8, s: int, formats: I64, packets: I64) -> tuple[int, int]:
    """Decode whole blocks to raw[s:] up to the length that the header states: bytes taken, 0 if none; length."""
    i = 0
    size = 0
    length = 0
    taken = 0
    zero = 0  # the last block stands for one, once another block follows
    while i < n:
        code = load_u8(data, at + i)
        if i + code > n:
            break
        if zero:
            store_u8(raw, s + size, 0)
        size += zero
        _copy(data, at + i + 1, raw, s + size, code - 1)
        size += code - 1
        zero = code < 255
        i += code
        if length == 0 and size > 0:
            shortest = packets[load_u8(raw, s) & 15, SHORTEST]
            if shortest == 0:
                break
            if size >= shortest:
                length = _stated_length(raw, s, size, formats, packets)
                if length == 0:
                    break
        if size > length and length > 0:
            break
        if size == length and length > 0:
            taken = i
    return taken, length


@register_jitable
def _stated_length(raw: U8, s: int, size: int, formats: I64, packets: I64) -> int:
    """As `_fields.stated_length`."""
    head = load_u8(raw, s)
    type_ = head & 15
    if head >> 4 != VERSION or packets[type_, SHORTEST] == 0:
        return 0
    if size < packets[type_, SHORTEST]:
        return packets[type_, SHORTEST]
    if packets[type_, IS_DATA]:
        n_channels, n_samples = load_u8(raw, s + 12), load_u8(raw, s + 13)
        form = load_u8(raw, s + 14)
        if formats[form, SAMPLE_SIZE] == 0 or n_channels == 0 or n_channels > 64 or n_samples == 0 or n_samples > 32:
            return 0
        conversion = n_channels * formats[form, SAMPLE_SIZE]
        if formats[form, STATUS_SIZE]:
            n_converters = n_channels // formats[form, PER_CONVERTER]
            if n_converters * formats[form, PER_CONVERTER] != n_channels:
                return 0
            conversion += n_converters * formats[form, STATUS_SIZE]
        length = packets[type_, SHORTEST] + n_samples * conversion
        return length if length <= MAX_PACKET else 0
    if packets[type_, AT] == 0:
        return packets[type_, SHORTEST]
    number = load_u8(raw, s + packets[type_, AT])
    if packets[type_, SIZE] == 2:
        number |= load_u8(raw, s + packets[type_, AT] + 1) << 8
    if number < packets[type_, MINIMUM] or number > packets[type_, MAXIMUM]:
        return 0
    return packets[type_, SHORTEST] + number * packets[type_, EACH]


@register_jitable
def _intact(raw: U8, s: int, size: int, crc_table: I64, hardware: int) -> bool:
    """Whether the last four bytes of the packet are its CRC-32C."""
    end = s + size - 4
    register = 0xFFFFFFFF
    if hardware:
        while s + 8 <= end:
            register = crc_word(register, load_u64(raw, s))
            s += 8
        while s < end:
            register = crc_byte(register, load_u8(raw, s))
            s += 1
    else:
        while s + 8 <= end:  # slicing by eight: Kounavis and Berry, IEEE Trans. Comput. 57(11):1550-1560, 2008
            low = load_u32(raw, s) ^ register
            high = load_u32(raw, s + 4)
            register = (
                crc_table[7, low & 255]
                ^ crc_table[6, low >> 8 & 255]
                ^ crc_table[5, low >> 16 & 255]
                ^ crc_table[4, low >> 24]
                ^ crc_table[3, high & 255]
                ^ crc_table[2, high >> 8 & 255]
                ^ crc_table[1, high >> 16 & 255]
                ^ crc_table[0, high >> 24]
            )
            s += 8
        while s < end:
            register = crc_table[0, (register ^ load_u8(raw, s)) & 255] ^ register >> 8
            s += 1
    return register ^ 0xFFFFFFFF == load_u32(raw, end)


@register_jitable
def _judge(
    data: U8,
    at: int,
    n: int,
    offset: int,
    raw: U8,
    s: int,
    size: int,
    state: I64,
    formats: I64,
    packets: I64,
    events: I64,
    values: I32,
    status: I32,
) -> None:
    """(5) for the packet raw[s : s + size], whose coded bytes are data[at : at + n]."""
    head = load_u8(raw, s)
    type_ = head & 15
    kind = FRAME
    if head >> 4 != VERSION or load_u8(raw, s + 1) & 0x80:
        kind = UNSUPPORTED
    elif packets[type_, IS_HOST] and not (state[HAS_NONCE] and size >= 12 and load_u64(raw, s + 4) == state[NONCE]):
        kind = HOST_ON_WIRE
    else:
        length = _stated_length(raw, s, size, formats, packets)
        if length != size and packets[type_, SHORTEST]:
            kind = LENGTH if length else FIELD
        elif size > MAX_PACKET:
            kind = LENGTH
    if size < 20:  # what lies behind a short packet is no header
        for k in range(s + size - 4, s + 16):
            store_u8(raw, k, 0)
    low, high = load_u64(raw, s), load_u64(raw, s + 8)
    if kind == FRAME and packets[type_, IS_DATA]:
        first_value, first_status = state[N_VALUES], state[N_STATUS]
        _samples(raw, s, state, formats, values, status)
        _write_event(events, state, offset, n, size, kind, low, high, first_value, first_status)
    else:
        state[N_TEXT] += packets[type_, HAS_TEXT]
        _keep(data, at, n, raw, state)
        _write_event(events, state, offset, n, size, kind, low, high, state[N_RAW] - n, 0)


@register_jitable
def _samples(raw: U8, s: int, state: I64, formats: I64, values: I32, status: I32) -> None:
    """Samples and status words of a DATA packet to their columns."""
    form = load_u8(raw, s + 14)
    n_values = load_u8(raw, s + 12) * load_u8(raw, s + 13)
    to = state[N_VALUES]
    end = to + n_values
    state[N_VALUES] = end
    group = n_values
    at = s + 16
    if formats[form, STATUS_SIZE]:
        group = formats[form, PER_CONVERTER]
    while to < end:
        if formats[form, STATUS_SIZE]:
            status[state[N_STATUS]] = load_u8(raw, at) << 16 | load_u8(raw, at + 1) << 8 | load_u8(raw, at + 2)
            state[N_STATUS] += 1
            at += 3
        if formats[form, SAMPLE_SIZE] == 3:
            for k in range(0, group, 8):  # up to 7 too many: overwritten by what follows
                unpack_int24(raw, at + 3 * k, values, to + k)
        else:
            for k in range(group):
                values[to + k] = np.int32(load_u32(raw, at + 4 * k))
        at += formats[form, SAMPLE_SIZE] * group
        to += group


@register_jitable
def _keep(data: U8, at: int, n: int, raw: U8, state: I64) -> None:
    """Append wire bytes to `raw`."""
    _copy(data, at, raw, state[N_RAW], n)
    state[N_RAW] += n


@register_jitable
def _write_event(
    events: I64,
    state: I64,
    offset: int,
    length: int,
    size: int,
    kind: int,
    low: int,
    high: int,
    first: int,
    first_status: int,
) -> None:
    at = state[N_EVENTS] * EVENT_WORDS
    events[at] = offset
    events[at + 1] = low
    events[at + 2] = high
    events[at + 3] = length | size << 16 | kind << 32
    events[at + 4] = first
    events[at + 5] = first_status
    state[N_EVENTS] += 1
