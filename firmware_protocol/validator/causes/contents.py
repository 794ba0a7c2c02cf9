"""Packets whose CRC is right and whose content is not: wrong counts in the header, wrong types, INFO, answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from firmware_protocol._fields import FORMATS, stated_length
from firmware_protocol.cobs import cobs_decode
from firmware_protocol.codes import FaultKind, Opcode, Type
from firmware_protocol.frames import Fault
from firmware_protocol.layout import DATA
from firmware_protocol.limits import CRC_SIZE, VERSION
from firmware_protocol.validator.causes.evidence import Evidence
from firmware_protocol.validator.findings import CAUSES, Cause, cause_rule

__all__ = ["contents"]

cause_rule(
    "FP951",
    "wrong-n-samples",
    "4.1",
    "n_samples of DATA is not the number of conversions in the frame.",
    hint="n_samples (byte 13) is the number of conversions whose samples follow the header.",
)
cause_rule(
    "FP952",
    "wrong-n-channels",
    "4.1",
    "n_channels of DATA is not the number of channels in the frame.",
    hint="n_channels (byte 12) counts the channels of all converters, status words not included.",
)
cause_rule(
    "FP953",
    "wrong-format",
    "4.1",
    "The format byte of DATA does not describe the samples that follow.",
    hint="b2 says that status words are among the samples, b4–5 how many channels a converter has.",
)
cause_rule(
    "FP954",
    "wrong-length",
    "7.2",
    "Packets have another length than their header states.",
    hint="Send exactly the bytes that the header states, then the CRC.",
)
cause_rule(
    "FP955",
    "type-15-on-wire",
    "9.1",
    "The device sends packets of type 15 (HOST), which belong in recordings only.",
    hint="Use one of the types 1–6 for what the device has to say; do not replay recordings onto a wire.",
)
cause_rule(
    "FP956",
    "wrong-version",
    "3.1",
    "Byte 0 of the packets is not version 1.",
    hint="Byte 0 is version << 4 | type: 0x11 for DATA, 0x12 for EVENT, 0x13 for INFO.",
)
cause_rule(
    "FP957",
    "no-info",
    "6.2",
    "DATA is sent with a config_id for which no INFO comes.",
    hint="Send all pages of INFO with that config_id before its first DATA, and once a second.",
)
cause_rule(
    "FP958",
    "late-info",
    "6.2",
    "INFO of a config_id comes only after DATA that uses it.",
    hint="On a change of configuration: end the frame, send INFO with the new config_id, then DATA with it.",
)
cause_rule(
    "FP959",
    "frame-spans-configurations",
    "4.1",
    "A DATA frame holds samples of two configurations.",
    hint="End the frame when a command changes gain, rate or input (a short frame is fine); the next has the new id.",
)
cause_rule(
    "FP960",
    "no-answer",
    "5.2",
    "The device never answers.",
    hint="Is it powered and running, RX and TX not swapped, the baud rate right? Then: does it find the delimiter, "
    "does its CRC accept the command (00 COBS 00), is the receive interrupt on?",
)
cause_rule(
    "FP961",
    "silent-line",
    "2.1",
    "Nothing but zero bytes is received: the line is held low, or nobody drives it.",
    hint="Check TX of the device, level shifter and ground; an idle line is high.",
)


def contents(e: Evidence) -> Iterator[Cause]:
    """Causes that single packets or their absence speak for."""
    yield from _lengths(e)
    yield from _type_15(e)
    yield from _version(e)
    yield from _info(e)
    yield from _spanning(e)
    yield from _answers(e)


def _cause(name: str, text: str, **more: object) -> Cause:
    return Cause(CAUSES[name], text, **more)  # type: ignore[arg-type]


# ---- lengths ---------------------------------------------------------------------------------------------------


def _lengths(e: Evidence) -> Iterator[Cause]:
    """What would have to be in the header for it to be right?"""
    faults = [f for f in e.sound_faults if f.kind in (FaultKind.LENGTH, FaultKind.FIELD)]
    told: Counter[str] = Counter()
    first: dict[str, tuple[Fault, str, tuple[int, int]]] = {}
    for fault in faults:
        packet = cobs_decode(fault.raw) or b""
        if packet[0] & 15 != Type.DATA or len(packet) < DATA.size + CRC_SIZE:
            continue
        name, text, span = _what_is_wrong(packet, e)
        told[name] += 1
        first.setdefault(name, (fault, text, span))
    total = e.stream.faults[FaultKind.LENGTH] + e.stream.faults[FaultKind.FIELD]
    for name, times in told.most_common():
        fault, text, span = first[name]
        share = times / max(len(faults), 1)
        weight = min(1.0, total * share / max(e.stream.packet, 1))
        yield _cause(
            name,
            f"{text} ({round(total * share)} packets)",
            certainty=3 if name != "wrong-length" else 2,
            share=weight,
            offset=fault.offset,
            packet_bytes=span,
            instead_of=frozenset({"packets-lost", "counter-unit"}),
        )


def _what_is_wrong(packet: bytes, e: Evidence) -> tuple[str, str, tuple[int, int]]:
    payload = len(packet) - DATA.size - CRC_SIZE
    n_channels, n_samples, byte = packet[12], packet[13], packet[14]
    form = FORMATS[byte]
    info = e.stream.settings.get(packet[15])
    known = info.info if info is not None and info.info is not None else None
    fits: list[tuple[int, str, str, tuple[int, int]]] = []
    if form is not None and 1 <= n_channels <= 64:
        size = form.frame_size(n_channels)
        whole = not form.has_status or n_channels % form.channels_per_converter == 0
        if whole and payload % size == 0 and 1 <= payload // size <= 32 and payload // size != n_samples:
            text = (
                f"n_samples (byte 13) is {n_samples}, but the payload of {payload} bytes holds {payload // size} "
                "conversions"
            )
            agrees = known is not None and known.n_channels == n_channels
            fits.append((0 if agrees else 1, "wrong-n-samples", text, (13, 14)))
    if form is not None and 1 <= n_samples <= 32:
        for other in range(1, 65):
            whole = not form.has_status or other % form.channels_per_converter == 0
            if other != n_channels and whole and form.frame_size(other) * n_samples == payload:
                text = f"n_channels (byte 12) is {n_channels}, but the payload of {payload} bytes is that of {other}"
                agrees = known is not None and known.n_channels == other
                fits.append((0 if agrees else 2, "wrong-n-channels", text, (12, 13)))
    for other_byte in (byte ^ 0x04, byte & ~0x30, byte & ~0x30 | 0x10, byte & ~0x30 | 0x20):
        other_form = FORMATS[other_byte]
        if other_form is None or other_byte == byte or not (1 <= n_channels <= 64):
            continue
        whole = not other_form.has_status or n_channels % other_form.channels_per_converter == 0
        if whole and other_form.frame_size(n_channels) * n_samples == payload:
            what = "but status words are" if other_form.has_status else "but no status words are"
            text = f"the format (byte 14) says 0x{byte:02X}, {what} among the samples: 0x{other_byte:02X} would fit"
            fits.append(
                (
                    0 if known is not None and known.n_channels == n_channels else 1,
                    "wrong-format",
                    text,
                    (14, 15),
                )
            )
    if fits:
        _, name, text, span = min(fits, key=lambda fit: fit[0])
        return name, text, span
    stated = form.frame_size(n_channels) * n_samples if form is not None else 0
    over = payload - stated
    text = (
        f"the payload has {payload} bytes, {abs(over)} {'more' if over > 0 else 'fewer'} than {n_channels} channels × "
        f"{n_samples} conversions take"
    )
    return "wrong-length", text, (12, 15)


# ---- types -----------------------------------------------------------------------------------------------------


def _of_kind(faults: Sequence[Fault], kind: FaultKind) -> list[Fault]:
    return [f for f in faults if f.kind == kind]


def _type_15(e: Evidence) -> Iterator[Cause]:
    found = _of_kind(e.sound_faults, FaultKind.HOST_ON_WIRE)
    if found:
        times = e.stream.faults[FaultKind.HOST_ON_WIRE]
        text = f"byte 0 of a packet is 0x1F: type 15 (HOST) on the wire ({times} packet{'s' if times > 1 else ''})"
        yield _cause(
            "type-15-on-wire",
            text,
            certainty=3,
            share=times / max(e.stream.packet, 1),
            offset=found[0].offset,
            packet_bytes=(0, 1),
            instead_of=frozenset({"packets-lost"}),
        )


def _version(e: Evidence) -> Iterator[Cause]:
    found = _of_kind(e.sound_faults, FaultKind.UNSUPPORTED)
    heads = Counter((cobs_decode(f.raw) or b"\x10")[0] for f in found)
    heads = Counter({head: n for head, n in heads.items() if head >> 4 != VERSION})
    if heads:
        head, _ = heads.most_common(1)[0]
        first = next(f for f in found if (cobs_decode(f.raw) or b"\x10")[0] == head)
        packet = cobs_decode(first.raw) or b""
        turned = bytes([(head & 15) << 4 | head >> 4]) + packet[1:]
        swapped = stated_length(turned) == len(packet)
        why = "version and type are swapped" if swapped else f"that is version {head >> 4}"
        share = e.stream.faults[FaultKind.UNSUPPORTED] / max(e.stream.packet, 1)
        text = f"byte 0 is 0x{head:02X}: {why}"
        yield _cause(
            "wrong-version", text, certainty=3, share=share, offset=first.offset, packet_bytes=(0, 1)
        )


# ---- configuration ---------------------------------------------------------------------------------------------


def _info(e: Evidence) -> Iterator[Cause]:
    for rule_id, name in (("FP401", "no-info"), ("FP402", "late-info")):
        first = e.first.get(rule_id)
        if first is not None:
            yield _cause(
                name,
                f"{first.text} (got {first.got})",
                certainty=2,
                share=0.5,
                offset=first.offset,
                frame=first.frame,
                span=first.window.marks if first.window is not None else None,
            )


def _spanning(e: Evidence) -> Iterator[Cause]:
    if e.samples.spanning:
        x = e.samples.spanning[0]
        text = (
            f"frame {x.packet} has config_id {x.config_id}, but its conversions {x.row + 1}–{x.n_samples} of "
            f"{x.n_samples} are of config_id {x.other_id}"
            if x.other_id == (x.config_id + 1) & 0xFF
            else f"frame {x.packet} has config_id {x.config_id}, but its conversions 1–{x.row} of {x.n_samples} are of "
            f"config_id {x.other_id}"
        )
        times = len(e.samples.spanning)
        yield _cause(
            "frame-spans-configurations",
            text + (f" ({times} frames like it)" if times > 1 else ""),
            certainty=x.certainty,
            share=0.5,
            offset=x.offset,
            frame=x.packet,
            packet_bytes=(15, 16),
        )


# ---- answers ---------------------------------------------------------------------------------------------------


def _answers(e: Evidence) -> Iterator[Cause]:
    s = e.stream
    waiting = [*s.unanswered, *s.commands.values()]
    if s.by_type[Type.RESPONSE] == 0 and (waiting or e.asked):
        names = sorted({_opcode(x.command.opcode) for x in waiting})
        times = max(len(waiting), e.asked, s.commands_seen - s.answered)
        what = f" ({', '.join(names)})" if names else ""
        heard = (
            "and nothing else is heard of it"
            if e.size == 0 or not s.packet
            else f"although {s.packet} packets came"
        )
        yield _cause(
            "no-answer",
            f"{times} COMMAND{'s' if times > 1 else ''}{what} got no RESPONSE, {heard}",
            certainty=2,
            offset=waiting[0].command.offset if waiting else 0,
            frame=waiting[0].packet if waiting else 0,
        )
    elif e.size == 0:
        yield _cause("no-answer", "not one byte was received", certainty=2)
    elif s.packet == 0:
        text = (
            f"{e.size} bytes came, all of them 0x00: the line is held low, or the device sends at least ten times "
            "slower than it is read (wrong baud rate)"
        )
        yield _cause("silent-line", text, certainty=2)


def _opcode(number: int) -> str:
    return Opcode(number).name if number in frozenset(Opcode) else f"opcode 0x{number:02X}"
