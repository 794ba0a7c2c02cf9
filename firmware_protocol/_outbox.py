"""What a device has to send, in the order it goes out (SPEC 6.3), and the loss account that follows (SPEC
6.4).

Responses go ahead of everything. `link_seq` is given when a packet is handed to the UART, so it follows the
order on the wire. DATA that finds the queue full is dropped as a whole and counted. A HEARTBEAT is filled in
when it is handed over, so that its numbers belong to its place in the stream.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from firmware_protocol._fields import wire_size
from firmware_protocol.codec import seal
from firmware_protocol.limits import CACHE_SIZE


@dataclass(frozen=True, slots=True)
class Account:
    """Every conversion below `sample_index` was sent or is one of the `dropped`."""

    sample_index: int
    dropped: int


@dataclass(frozen=True, slots=True)
class _Queued:
    body: Callable[[Account], bytes] | bytes  # without link_seq and CRC; a function is filled in at the end
    size: int
    account: Account | None = None  # DATA: the account once this packet is sent


class Outbox:
    """Queue of packets between the parts of a device that make them and its UART."""

    def __init__(self, *, capacity: int, link_seq: int, sample_index: int) -> None:
        self.size = 0  # wire bytes waiting, at their most
        self._capacity = capacity
        self._link_seq = link_seq
        # a host that sends more than it reads loses some
        self._urgent: deque[_Queued] = deque(maxlen=CACHE_SIZE)
        self._queue: deque[_Queued] = deque()
        self._data_queued = 0
        self._sent = Account(sample_index, 0)  # after the last DATA handed over
        self._made = self._sent  # after the last DATA queued or dropped

    @property
    def account(self) -> Account:
        """The account at this place of the stream."""
        return self._sent if self._data_queued else self._made

    @property
    def final(self) -> Account:
        """The account once everything queued is sent."""
        return self._made

    def put_response(self, body: bytes) -> None:
        """Queue ahead of everything but earlier responses."""
        self._urgent.append(_Queued(body, wire_size(len(body))))

    def put_data(self, body: bytes, *, n_samples: int) -> bool:
        """Queue DATA with the next `n_samples` conversions; False: no room, they are dropped and counted."""
        size = wire_size(len(body))
        if self.size + size > self._capacity:
            self.drop(n_samples)
            return False
        if not self._data_queued:
            self._sent = self._made  # what was dropped while nothing waited lies before this DATA
        self._made = Account(self._made.sample_index + n_samples, self._made.dropped)
        self._queue.append(_Queued(body, size, self._made))
        self._data_queued += 1
        self.size += size
        return True

    def drop(self, n_samples: int) -> None:
        """Count the next `n_samples` conversions as dropped."""
        if not self._data_queued:
            self._sent = self._made
        self._made = Account(self._made.sample_index + n_samples, self._made.dropped + n_samples)

    def has_room(self, lengths: Iterable[int]) -> bool:
        """Whether `put` would take packets of these lengths."""
        return self.size + sum(map(wire_size, lengths)) <= 2 * self._capacity

    def put(self, body: Callable[[Account], bytes] | bytes, *, length: int) -> bool:
        """Queue any other packet of `length` bytes without CRC; False: no room even in twice the capacity.

        The room beyond the capacity is theirs alone: a device that drops samples still says what happened.
        """
        if not self.has_room([length]):
            return False
        size = wire_size(length)
        self._queue.append(_Queued(body, size))
        self.size += size
        return True

    def take(self, room: int | None) -> bytes:
        """Hand over the next packets, as many whole ones as surely fit into `room` bytes; None: all."""
        out: list[bytes] = []
        while self._urgent or self._queue:
            queue = self._urgent or self._queue
            if room is not None:
                room -= queue[0].size
                if room < 0:
                    break
            out.append(self._hand_over(queue.popleft(), urgent=queue is self._urgent))
        return b"".join(out)

    def _hand_over(self, packet: _Queued, *, urgent: bool) -> bytes:
        if not urgent:
            self.size -= packet.size
        if packet.account is not None:
            self._sent = packet.account
            self._data_queued -= 1
        body = packet.body if isinstance(packet.body, bytes) else packet.body(self.account)
        link_seq = self._link_seq
        self._link_seq = link_seq + 1 & 0xFFFF
        return seal(body[:2] + link_seq.to_bytes(2, "little") + body[4:])
