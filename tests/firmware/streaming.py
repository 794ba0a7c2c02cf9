"""Stream for a while and close the account: conversions that came, that the firmware dropped, that are lost."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from firmware_protocol.codes import Opcode, Status
from firmware_protocol.conform import Conformance, Line, Plan, Verdict
from firmware_protocol.conform.host import Host
from firmware_protocol.frames import Data, Heartbeat, Response

#: The suite stops listening within a packet; and with its own floods it fills a slow line.
OF_THE_SUITE = frozenset({"FP110"})
OF_A_SLOW_LINE = frozenset({"FP110", "FP511"})

PATIENCE_S = 60.0  # with an emulator on a busy computer
BITS = 10  # of a byte on the line: start, eight, stop


@dataclass(frozen=True, slots=True)
class Streamed:
    """`made` by STOP; `received` here; `dropped` by the firmware's count; packets lost or damaged on the way."""

    made: int
    received: int
    dropped: int
    damage: int
    heartbeats: int
    boot_id: int


def clean(result: Conformance, *, skipped: set[str], provoked: frozenset[str] = OF_THE_SUITE) -> None:
    """No step failed, none but `skipped` was left out, and no rule nor cause has anything to say."""
    assert [(step.rule.name, step.note, step.findings) for step in result.of(Verdict.FAILED)] == []
    assert {step.rule.name for step in result.steps if step.verdict != Verdict.PASSED} == skipped
    assert {rule for rule, _ in result.report.counts} <= provoked
    assert not result.report.causes
    assert result.exit_status() == 0


def ask(host: Host, opcode: int, *arguments: int) -> Response:
    """An answer, and that it is OK. Patient: of a board that runs faster than we read much may be under way."""
    response = host.answer_to(host.send(opcode, *arguments), PATIENCE_S)
    assert response is not None, f"opcode {opcode} {arguments} was not answered"
    assert response.status == Status.OK, (opcode, arguments, response)
    return response


def stream(
    line: Line,
    seconds: float,
    *,
    baud: int = 921_600,
    rate_hz: int = 250,
    meddle: Callable[[int], None] = lambda tenth: None,
    conversions: int = 0,
) -> Streamed:
    """Stream at `rate_hz` for `seconds` of the line's time, or until so many `conversions` came.

    `meddle` is called each tenth of a second. Each HEARTBEAT's account is held to what came before it.
    """
    host = Host(line, Plan(baud=baud, seed=1))
    ask(host, Opcode.STOP)
    ask(host, Opcode.SET_RATE, rate_hz, 1)
    host.drain(0.1)
    ask(host, Opcode.RESET_COUNTERS)
    began, damage = host.conversions, host.damage
    host.heard.clear()
    start = ask(host, Opcode.START, 0)
    first = int.from_bytes(start.payload, "little")
    for tenth in range(round(seconds * 10)):
        meddle(tenth)
        host.listen(0.1)
        if conversions and host.conversions - began >= conversions:
            break
    told = Heartbeat.from_counters(ask(host, Opcode.STOP))
    host.drain(0.3)
    received = beats = 0
    for heard in host.heard:
        if isinstance(heard.frame, Data):
            received += heard.frame.n_samples
        elif isinstance(heard.frame, Heartbeat):
            beats += 1
            if host.damage == damage:
                assert heard.frame.sample_index - first == received + heard.frame.dropped
    assert received == host.conversions - began
    return Streamed(
        told.sample_index - first, received, told.dropped, host.damage - damage, beats, told.boot_id
    )


def at_another_baud(data: bytes, sent_baud: int, heard_baud: int, seed: int = 1) -> bytes:
    """What a UART at `heard_baud` makes of bytes sent at `sent_baud`: each bit sampled in its middle, 8N1."""
    line = [1] * BITS
    for byte in data:
        line += [0, *(byte >> k & 1 for k in range(8)), 1]
    line += [1] * (2 * BITS)
    ratio = sent_baud / heard_baud
    at = random.Random(seed).random() * ratio
    heard = bytearray()
    while (start := next((k for k in range(int(at), len(line)) if line[k] == 0), None)) is not None:
        begin = max(at, float(start))
        middle = [begin + (k + 1.5) * ratio for k in range(8)]
        if middle[-1] >= len(line):
            break
        heard.append(sum(line[int(m)] << k for k, m in enumerate(middle)))
        at = begin + 9.5 * ratio
        while int(at) < len(line) and line[int(at)] == 0:  # no stop bit: wait for the line to rest
            at += 1
    return bytes(heard)
