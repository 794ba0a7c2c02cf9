"""FP74x: commands that change what the device measures, tried with every argument they take (SPEC 5.3)."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import isclose

from firmware_protocol.codes import Flag, LeadOff, Opcode, Status
from firmware_protocol.conform.asking import about, changed, counters, expect, streaming
from firmware_protocol.conform.host import Host, Skip
from firmware_protocol.conform.steps import step
from firmware_protocol.converter import GAINS
from firmware_protocol.frames import Heartbeat
from firmware_protocol.layout import COMMANDS
from firmware_protocol.validator.findings import Hit

RATES = tuple(Fraction(250 * 2**k) for k in range(7))
ALL = 255
_CH1SET = 0x05
_AC_HZ = Fraction(125, 4)


@step(
    "FP741",
    "set-rate",
    "5.3",
    hint="Set the converter's rate, raise config_id by one, answer with it, and send INFO with the new rate.",
)
def set_rate(host: Host) -> Iterator[Hit]:
    """SET_RATE to the present rate and to others: what is answered OK shows in INFO, under the next config_id."""
    own = now = about(host)
    tried = [rate for rate in RATES if rate != own.rate]
    for rate in [own.rate, *tried[:2], *([] if host.plan.quick else tried[2:])]:
        if rate != own.rate:
            response = host.ask(Opcode.SET_RATE, rate.numerator, rate.denominator)
            if response.status in (Status.BAD_ARGUMENT, Status.UNSUPPORTED):
                continue  # not one of this converter's
            now = about(host)
        after = yield from changed(
            host, now, Opcode.SET_RATE, rate.numerator, rate.denominator, unsupported=True
        )
        if after is None:
            continue
        now = after
        if after.rate != rate:
            text = f"INFO after SET_RATE({rate.numerator}, {rate.denominator})"
            yield host.hit(text, f"{after.rate} Hz", f"{rate} Hz", frame=after.info, key="rate")
    if now.rate != own.rate:
        yield from expect(host, Status.OK, Opcode.SET_RATE, own.rate.numerator, own.rate.denominator)


@step(
    "FP742",
    "set-channel",
    "5.3",
    hint="Write gain, input and power to the channel's register, and put VREF / gain / (2^23 - 1) into INFO.",
)
def set_channel(host: Host) -> Iterator[Hit]:
    """SET_CHANNEL with every gain, input and power state: µV per count follows the gain, of that channel only."""
    own = now = about(host)
    unit: float | None = None  # µV per count at a gain of 1
    for gain in GAINS:
        after = yield from changed(host, now, Opcode.SET_CHANNEL, 0, gain, 0, 1, unsupported=True)
        if after is None:
            continue
        now, uv = after, after.uv_per_count
        unit = unit or uv[0] * gain
        if not isclose(uv[0] * gain, unit, rel_tol=1e-6):
            text = f"µV per count of channel 0 at a gain of {gain}"
            yield host.hit(text, f"{uv[0]:g}", f"{unit / gain:g}", frame=after.info, key="scale")
        if uv[1:] != own.uv_per_count[1:]:
            text = "SET_CHANNEL of channel 0 changed the scale of others"
            yield host.hit(text, frame=after.info, key="others")
    if unit is None:
        raise Skip("SET_CHANNEL is not supported")
    for mux, power in [*((mux, 1) for mux in range(8)), (0, 0)]:
        after = yield from changed(host, now, Opcode.SET_CHANNEL, 0, 24, mux, power, unsupported=True)
        now = after or now
    after = yield from changed(host, now, Opcode.SET_CHANNEL, ALL, 12, 0, 1, unsupported=True)
    if after is not None and not all(isclose(uv, unit / 12, rel_tol=1e-6) for uv in after.uv_per_count):
        text = "µV per count of all channels at a gain of 12"
        yield host.hit(
            text, f"{after.uv_per_count[-1]:g}", f"{unit / 12:g}", frame=after.infos[-1], key="all"
        )


@step(
    "FP743",
    "lead-off",
    "5.3",
    hint="Switch the excitation, tell the mode in INFO under the same config_id, and set b3 of DATA for both AC modes.",
)
def lead_off(host: Host) -> Iterator[Hit]:
    """LEAD_OFF: each mode shows in INFO, both AC modes in b3 of DATA; 31.25 Hz only at multiples of that rate."""
    now = about(host)
    for mode in (LeadOff.DC, LeadOff.AC_QUARTER_RATE, LeadOff.AC_31_25_HZ, LeadOff.OFF):
        if mode == LeadOff.AC_31_25_HZ and (now.rate / _AC_HZ).denominator != 1:
            yield from expect(host, Status.UNSUPPORTED, Opcode.LEAD_OFF, mode)
            continue
        after = yield from changed(host, now, Opcode.LEAD_OFF, mode, unsupported=True)
        if after is None:
            continue
        now = after
        if after.info.lead_off != mode:
            text = f"lead_off of INFO after LEAD_OFF({int(mode)})"
            yield host.hit(text, str(after.info.lead_off), str(int(mode)), frame=after.info, key="info")
        with streaming(host) as stream:
            data = stream.listen_for(2 * after.info.n_samples, 2.0)
        wanted = mode in (LeadOff.AC_31_25_HZ, LeadOff.AC_QUARTER_RATE)
        for frame in data[:1]:
            if bool(frame.flags & Flag.AC_LEAD_OFF) != wanted:
                text = f"b3 of DATA after LEAD_OFF({int(mode)})"
                yield host.hit(text, str(int(not wanted)), str(int(wanted)), frame=frame, key="b3")
    yield from expect(host, (Status.OK, Status.UNSUPPORTED), Opcode.LEAD_OFF, LeadOff.OFF)


@step("FP744", "read-register", "5.3", hint="Answer exactly `count` values, read from the converter.")
def read_register(host: Host) -> Iterator[Hit]:
    """READ_REGISTER gives as many values as asked for, the same each time, of every converter."""
    now = about(host)
    for converter in range(now.n_converters):
        whole = yield from expect(
            host, (Status.OK, Status.UNSUPPORTED), Opcode.READ_REGISTER, converter, 0, 24
        )
        if whole.status == Status.UNSUPPORTED:
            raise Skip("the device gives no registers")
        for address, count in ((0, 24), (0, 1), (_CH1SET, 8), (23, 1)):
            response = yield from expect(host, Status.OK, Opcode.READ_REGISTER, converter, address, count)
            expected = whole.payload[address : address + count]
            # inputs live
            mask = bytes(0 if 0x12 <= k <= 0x14 else 255 for k in range(address, address + count))
            if len(response.payload) != count or _masked(response.payload, mask) != _masked(expected, mask):
                text = f"READ_REGISTER({converter}, {address}, {count})"
                got = response.payload.hex(" ") or "nothing"
                yield host.hit(text, got, expected.hex(" "), frame=response, key="values")


def _masked(values: bytes, mask: bytes) -> bytes:
    return bytes(a & b for a, b in zip(values, mask, strict=False))


@step(
    "FP745",
    "write-register",
    "5.3",
    hint="Write to the converter, read back, raise config_id, answer with it; INFO's scale is that of the registers.",
)
def write_register(host: Host) -> Iterator[Hit]:
    """WRITE_REGISTER: what was written is read back, config_id grows by one, and a gain so written shows in INFO."""
    own = about(host)
    before = yield from expect(
        host, (Status.OK, Status.UNSUPPORTED, Status.BAD_ARGUMENT), Opcode.READ_REGISTER, 0, _CH1SET, 2
    )
    if before.status != Status.OK or len(before.payload) != 2:
        raise Skip("the device gives no registers")
    old = before.payload
    code = old[0] >> 4 & 7
    other = 0 if code else 6  # a gain of 1, or of 24
    new = bytes([old[0] & 0x8F | other << 4, old[1]])
    after = yield from changed(host, own, Opcode.WRITE_REGISTER, 0, _CH1SET, more=new, unsupported=True)
    if after is None:
        raise Skip("the device writes no registers")
    read = yield from expect(host, Status.OK, Opcode.READ_REGISTER, 0, _CH1SET, 2)
    if read.payload != new:
        text = "CH1SET and CH2SET, read back after WRITE_REGISTER"
        yield host.hit(text, read.payload.hex(" "), new.hex(" "), frame=read, key="back")
    ratio = GAINS[code] / GAINS[other]
    if code < len(GAINS) and not isclose(after.uv_per_count[0], own.uv_per_count[0] * ratio, rel_tol=1e-6):
        text = "µV per count of channel 0 after a gain written by register"
        expected = f"{own.uv_per_count[0] * ratio:g}"
        yield host.hit(text, f"{after.uv_per_count[0]:g}", expected, frame=after.info, key="scale")
    yield from changed(host, after, Opcode.WRITE_REGISTER, 0, _CH1SET, more=old)


@step(
    "FP746",
    "reset-counters",
    "5.3",
    hint="Answer the counters as they were, then set `dropped` and `rx_errors` to 0, and nothing else.",
)
def reset_counters(host: Host) -> Iterator[Hit]:
    """RESET_COUNTERS answers what the counters were; rx_errors and dropped begin anew, sample_index does not."""
    first = counters(host)
    for _ in range(3):
        host.write(b"\x00noise\x00")
        host.listen(0.02)
    response = yield from expect(host, Status.OK, Opcode.RESET_COUNTERS)
    size = COMMANDS[Opcode.RESET_COUNTERS].result_struct.size
    if len(response.payload) != size:
        got = f"{len(response.payload)} bytes"
        yield host.hit("results of RESET_COUNTERS", got, f"{size} bytes", frame=response, key="length")
        return
    told, after = Heartbeat.from_counters(response), counters(host)
    for what, counts, expected in (("3 times noise", told, 3), ("RESET_COUNTERS", after, 0)):
        if counts.rx_errors != expected:
            text = f"rx_errors after {what}"
            yield host.hit(text, str(counts.rx_errors), str(expected), frame=response, key="rx_errors")
    if after.dropped:
        yield host.hit("dropped after RESET_COUNTERS", str(after.dropped), "0", frame=response, key="dropped")
    if after.sample_index != first.sample_index:
        text = "RESET_COUNTERS changed sample_index"
        got, expected_ = str(after.sample_index), str(first.sample_index)
        yield host.hit(text, got, expected_, frame=response, key="sample_index")
    if told.boot_id != first.boot_id or abs(told.t_us - response.t_us) > 100_000:
        text = "boot_id or t_us in the results of RESET_COUNTERS"
        got, expected_ = f"{told.boot_id:08x}, {told.t_us}", f"{first.boot_id:08x}, about {response.t_us}"
        yield host.hit(text, got, expected_, frame=response, key="head")
