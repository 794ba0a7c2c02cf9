"""The RH56 adapter against pymodbus's own server that holds the hand's register map, over a real connection."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from bci.prosthesis.hand import Command
from bci.prosthesis.links import ReopeningLink, open_link

pytest.importorskip("pymodbus.simulator")

from pymodbus import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from bci.prosthesis.rh56 import (
    ANGLE_ACT,
    ANGLE_SET,
    CURRENT,
    ERROR,
    FORCE_ACT,
    FORCE_SET,
    READS,
    SPEED_SET,
    STATUS,
    TEMP,
    Rh56Hand,
)

#: First register → initial values, in the hand's order: little, ring, middle, index, thumb bend, thumb rotation.
MAP = {
    ANGLE_SET: [1000] * 6,
    FORCE_SET: [1000] * 6,
    SPEED_SET: [1000] * 6,
    ANGLE_ACT: [900, 800, 700, 600, 500, 400],
    FORCE_ACT: [0, 100, 0xFFFF, 0, 0, 0],  # −1 g on the middle finger
    CURRENT: [0, 0, 0, 250, 0, 0],
    ERROR: [0x0000, 0x0000, 0x0000],
    STATUS: [0x0202, 0x0302, 0x0202],  # index: force reached
    TEMP: [0x1F1E, 0x2120, 0x2322],  # 30 to 35 °C
}


SET = (ANGLE_SET, FORCE_SET, SPEED_SET)


class Server:
    """A server in a thread; the registers it was asked for are noted."""

    def __init__(self, port=0):
        self.loop = asyncio.new_event_loop()
        self.port, self._up = port, threading.Event()
        self.asked, self.written = [], {}
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._up.wait(60.0)

    def _serve(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._run())

    async def _run(self):
        groups = [
            SimData(first, values=values, datatype=DataType.REGISTERS, readonly=first not in SET)
            for first, values in MAP.items()
        ]
        self.server = ModbusTcpServer(
            SimDevice(1, groups),
            framer=FramerType.RTU,
            address=("127.0.0.1", self.port),
            trace_pdu=self._note,
        )
        await self.server.listen()
        self.port = self.server.transport.sockets[0].getsockname()[1]
        self._stop = asyncio.Event()
        self._up.set()
        await self._stop.wait()
        await self.server.shutdown()

    def _note(self, sending, pdu):
        if not sending:
            self.asked.append((pdu.function_code, pdu.address, pdu.count or len(pdu.registers)))
            if pdu.function_code == 16:
                self.written[pdu.address] = list(pdu.registers)
        return pdu

    def close(self):
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60.0)


@pytest.fixture
def server():
    running = Server()
    yield running
    running.close()


@pytest.fixture
def hand(server):
    port = f"socket://127.0.0.1:{server.port}"
    hand = Rh56Hand(ReopeningLink(lambda: open_link(port, baud=115_200)), force_g=300, speed=500)
    hand.answer_s = 2.0  # the server shares this process; time-outs have their own test
    yield hand
    hand.close()


def test_a_round_of_exchanges_reads_the_whole_state_of_the_hand(server, hand):
    for n in range(len(READS)):
        reply = hand.exchange(Command(n, 0, "hold", (0.5, 0.4, 0.3, 0.2, 0.1, 0.6)))
    assert server.written[FORCE_SET] == [300] * 6
    assert server.written[SPEED_SET] == [500] * 6
    assert server.written[ANGLE_SET] == [900, 800, 700, 600, 500, 400]
    assert reply.position == pytest.approx((0.5, 0.4, 0.3, 0.2, 0.1, 0.6))
    assert reply.force_n == pytest.approx((0.0, 0.0, -0.00980665, 0.980665, 0.0, 0.0))
    assert reply.current_a == pytest.approx((0.0, 0.25, 0.0, 0.0, 0.0, 0.0))
    assert reply.contact == (False, True, False, False, False, False)
    assert reply.temperature_c == 35.0
    assert reply.error == ""
    assert hand.timeouts == 0


def test_a_look_sets_limits_and_reads_but_writes_no_set_point(server, hand):
    for n in range(4):
        assert hand.exchange(Command(n, 0, "look", (1.0,) * 6)) is not None
    assert set(server.written) == {FORCE_SET, SPEED_SET}


def test_each_transaction_stays_within_one_documented_group(server, hand):
    for n in range(len(READS)):
        hand.exchange(Command(n, 0, "hold", (0.0,) * 6))
    size = {first: len(values) for first, values in MAP.items()}
    assert {(address, count) for _, address, count in server.asked} == set(size.items())
    assert all(function in (3, 16) for function, _, _ in server.asked)


def test_after_the_connection_was_lost_the_limits_are_set_before_anything_else(server, hand):
    hand.exchange(Command(0, 0, "hold", (0.0,) * 6))
    port = server.port
    server.close()
    lost = 0
    for n in range(3):
        try:
            hand.exchange(Command(n, 0, "hold", (0.0,) * 6))
        except OSError:
            lost += 1
    assert lost
    again = Server(port)
    until, reply = time.monotonic() + 10.0, None
    while reply is None and time.monotonic() < until:
        try:
            reply = hand.exchange(Command(9, 0, "look", (1.0,) * 6))
        except OSError:
            time.sleep(0.05)
    again.close()
    assert reply is not None
    assert reply.position == pytest.approx((0.5, 0.4, 0.3, 0.2, 0.1, 0.6))
    assert [address for _, address, _ in again.asked][:3] == [FORCE_SET, SPEED_SET, ANGLE_ACT]
