"""Inspire RH56 hand: Modbus RTU over serial, and the adapter `Rh56Hand`.

115200 baud, 8N1; frames by pymodbus. Registers are int16, in the order little, ring, middle, index, thumb bend, thumb
rotation; 0 is closed, 1000 is open, −1 (sent as FFFF) keeps what was.

| register | name | unit |
| --- | --- | --- |
| 1486 | ANGLE_SET | 0…1000 |
| 1498 | FORCE_SET | 0…1000 g |
| 1522 | SPEED_SET | 0…1000 |
| 1546 | ANGLE_ACT | 0…1000 |
| 1582 | FORCE_ACT | g |
| 1594 | CURRENT | mA |
| 1606 | ERROR | three registers, six bytes, low byte first: one per degree of freedom, 0 is none |
| 1612 | STATUS | the same form: 3 force reached, 5 current protection, 6 blocked, 7 actuator fault |
| 1618 | TEMP | the same form, °C |

Limits of force and speed are set at every connection, before the first set point. A transaction that is not answered
within 30 ms is given up and never repeated: a client that retried blocked for 12 s. Each exchange writes first and
reads one group, so a STOP waits for one transaction at most; no read spans two groups, because what lies between them
is not documented. No watchdog of the hand itself is known: what ends a movement when the monitor dies is that no set
point lies more than 100 ms of motion ahead.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bci.prosthesis.hand import DOFS, Closures, Command, Reply
from bci.prosthesis.links import Link

if TYPE_CHECKING:
    from pymodbus.pdu import ModbusPDU

__all__ = ["BAUD", "Rh56Hand"]

BAUD = 115_200
TIMEOUT_S = 0.03

ANGLE_SET, FORCE_SET, SPEED_SET = 1486, 1498, 1522
ANGLE_ACT, FORCE_ACT, CURRENT, ERROR, STATUS, TEMP = 1546, 1582, 1594, 1606, 1612, 1618
OPEN = 1000
N_PER_G = 9.80665e-3

#: Where the hand's order stands in `DOFS`.
ORDER = (4, 3, 2, 1, 0, 5)

PRESSES = (3, 6)
FAILS: dict[float, str] = {5: "current protection", 7: "actuator fault"}

#: What the exchanges ask for in turn: angles every second time, force every 80 ms, the slow ones every half second.
READS = tuple(
    register
    for other in (
        *(FORCE_ACT, STATUS, FORCE_ACT, ERROR),
        *(FORCE_ACT, STATUS, FORCE_ACT, CURRENT),
        *(FORCE_ACT, STATUS, FORCE_ACT, TEMP),
    )
    for register in (ANGLE_ACT, other)
)

#: Groups of six bytes in three registers; all others are six registers.
BYTES = (ERROR, STATUS, TEMP)


class Rh56Hand:
    """The RH56 on an open link; satisfies `Hand`.

    Parameters
    ----------
    link : Link
        Open serial link.
    device : int
        Modbus address.
    force_g, speed : int
        Limits written at every connection, 0…1000.
    clock : callable
        Monotonic seconds, for time-outs only.

    Raises
    ------
    ImportError
        pymodbus is not installed.
    """

    name = "rh56"
    baud = BAUD
    #: How long a transaction may take, s; see `links.read_answer`.
    answer_s = TIMEOUT_S

    def __init__(
        self,
        link: Link,
        *,
        device: int = 1,
        force_g: int = 400,
        speed: int = 800,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        from pymodbus.framer import FramerRTU
        from pymodbus.pdu import DecodePDU

        for name, value in (("force_g", force_g), ("speed", speed)):
            if not 0 <= value <= 1000:
                raise ValueError(f"{name} = {value}: expected 0 to 1000")
        self._framer = FramerRTU(DecodePDU(False))
        self._link = link
        self._device = device
        self._limits = ((FORCE_SET, force_g), (SPEED_SET, speed))
        self._clock = clock
        self._limited = False
        self._turn = 0
        self._told: dict[int, Closures] = {}
        self.timeouts = 0

    def exchange(self, command: Command) -> Reply | None:
        """Write the set points, read one group of registers; None if either was not answered."""
        try:
            if not self._set(command):
                self._forget()
                return None
            register = READS[self._turn % len(READS)]
            values = self._read(register, 3 if register in BYTES else 6)
        except OSError:
            self._forget()
            raise
        if values is None:
            return None
        self._turn += 1
        self._told[register] = _closures(_six_bytes(values) if register in BYTES else values)
        return self._reply()

    def close(self) -> None:
        self._link.close()

    def _forget(self) -> None:
        """It may have been switched off: what it said is old, and its limits are set again."""
        self._limited, self._turn, self._told = False, 0, {}

    def _set(self, command: Command) -> bool:
        """Limits, where they are not set yet, and set points; whether the hand confirmed them."""
        if not self._limited:
            self._limited = all(self._write(register, [value] * 6) for register, value in self._limits)
        if not self._limited or command.kind == "look":
            return self._limited
        return self._write(ANGLE_SET, [round(OPEN * (1.0 - command.setpoint[dof])) for dof in ORDER])

    def _reply(self) -> Reply:
        """All that is known, in closures, newtons and amperes. Angles are always the first to be read."""
        nothing = (0.0,) * 6
        forces, currents, states, errors, temperatures = (
            self._told.get(group, nothing) for group in (FORCE_ACT, CURRENT, STATUS, ERROR, TEMP)
        )
        told = [f"{DOFS[dof]}: error {int(errors[dof]):#04x}" for dof in ORDER if errors[dof]] + [
            f"{DOFS[dof]}: {FAILS[states[dof]]}" for dof in ORDER if states[dof] in FAILS
        ]
        return Reply(
            position=tuple(1.0 - x / OPEN for x in self._told[ANGLE_ACT]),  # type: ignore[arg-type]
            current_a=tuple(x / 1000.0 for x in currents),  # type: ignore[arg-type]
            force_n=tuple(x * N_PER_G for x in forces),  # type: ignore[arg-type]
            contact=tuple(x in PRESSES for x in states),  # type: ignore[arg-type]
            temperature_c=max(temperatures),
            error=", ".join(told),
        )

    # ---- one transaction, once

    def _write(self, register: int, values: list[int]) -> bool:
        from pymodbus.pdu.register_message import WriteMultipleRegistersRequest

        request = WriteMultipleRegistersRequest(address=register, registers=values, dev_id=self._device)
        answer = self._transact(request)
        return answer is not None and answer.address == register and answer.count == len(values)

    def _read(self, register: int, count: int) -> list[int] | None:
        from pymodbus.pdu.register_message import ReadHoldingRegistersRequest

        answer = self._transact(
            ReadHoldingRegistersRequest(address=register, count=count, dev_id=self._device)
        )
        if answer is None or len(answer.registers) != count:
            return None
        return [value - 0x10000 if value >= 0x8000 else value for value in answer.registers]

    def _transact(self, request: ModbusPDU) -> ModbusPDU | None:
        from pymodbus.exceptions import ModbusException

        self._link.read(0.0)  # what comes too late for its time-out answers nothing any more
        self._link.write(self._framer.buildFrame(request))
        pending = b""
        until = self._clock() + self.answer_s
        while (left_s := until - self._clock()) > 0.0:
            pending += self._link.read(left_s)
            try:
                used, answer = self._framer.handleFrame(pending, self._device, 0)
            except ModbusException:
                break  # well-formed nonsense; the next exchange starts afresh
            pending = pending[used:]
            if answer is not None:
                return None if answer.isError() or answer.function_code != request.function_code else answer
        self.timeouts += 1
        return None


def _closures(values: Sequence[float]) -> Closures:
    ordered = [0.0] * 6
    for dof, value in zip(ORDER, values, strict=True):
        ordered[dof] = value
    return tuple(ordered)  # type: ignore[return-value]


def _six_bytes(registers: Sequence[int]) -> list[int]:
    return [byte for value in registers for byte in ((value & 0xFF), (value >> 8) & 0xFF)]
