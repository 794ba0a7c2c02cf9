"""Conversions in, DATA packets out (SPEC 4.1, 6.4)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from firmware_protocol._configuration import Configuration, DeviceConfig
from firmware_protocol._outbox import Outbox
from firmware_protocol._samples import pack_counts, status_word
from firmware_protocol.codes import Flag, LeadOff
from firmware_protocol.frames import Data

_U32 = 0xFFFFFFFF


@dataclass(slots=True)
class _Partial:
    """DATA being filled; its flags are those of its first conversion."""

    t_us: int
    flags: Flag
    payload: bytearray
    n_samples: int = 0


class Framer:
    """Numbers conversions and fills DATA with them, until it is full or something changes."""

    def __init__(
        self, config: DeviceConfig, setup: Configuration, outbox: Outbox, described: Callable[[], bool]
    ) -> None:
        self.next_sample = config.sample_index
        self.config_id = 0
        self.once = Flag(0)  # what the next DATA has to say; again in the one after it if that one is dropped
        self._config = config
        self._setup = setup
        self._outbox = outbox
        self._described = described  # whether INFO of the present configuration is queued or sent
        self._partial: _Partial | None = None

    def add(
        self, rows: list[Sequence[int]], times: list[int], status: list[int] | None, *, trigger: bool
    ) -> None:
        """Convert `rows`, whose data-ready came at `times`."""
        rows = self._setup.convert(self.next_sample, rows)
        done = 0
        while done < len(rows):
            partial = self._partial
            if partial is None:
                flags, self.once = self.once | self._setup.flags, Flag(0)
                partial = self._partial = _Partial(times[done] & _U32, flags, bytearray())
            if trigger:
                partial.flags |= Flag.TRIGGER
            end = done + self._config.samples_per_frame - partial.n_samples
            taken = rows[done:end]
            partial.payload += pack_counts(
                taken, status=status, channels_per_converter=self._config.channels_per_converter
            )
            partial.n_samples += len(taken)
            self.next_sample += len(taken)
            done += len(taken)
            if partial.n_samples == self._config.samples_per_frame:
                self.cut()

    def cut(self) -> None:
        """Queue the DATA being filled, full or not; without room, or without its INFO, it is dropped and counted."""
        partial, self._partial = self._partial, None
        if partial is None:
            return
        config = self._config
        frame = Data(
            0,
            partial.flags,
            self.next_sample - partial.n_samples & _U32,
            partial.t_us,
            len(config.labels),
            partial.n_samples,
            self.config_id,
            bytes(partial.payload),
            has_status=config.has_status,
            channels_per_converter=config.channels_per_converter,
        )
        if not self._described():
            self._outbox.drop(partial.n_samples)
        elif self._outbox.put_data(frame.pack(), n_samples=partial.n_samples):
            return
        again = Flag.FIRST | Flag.COMMAND_ACTED | Flag.CLOCK_STEPPED
        self.once |= partial.flags & again | Flag.OVERRUN

    def skip(self, n: int) -> None:
        """`n` conversions that nobody fetched: what is being filled ends, the next DATA says OVERRUN."""
        self.cut()
        self.next_sample += n
        self._outbox.drop(n)
        self.once |= Flag.OVERRUN

    def status_words(self, lead_off_p: int, lead_off_n: int, gpio: int) -> list[int] | None:
        """One for each converter; lead-off bits only while there is excitation. None without status words."""
        if not self._config.has_status:
            return None
        if self._setup.lead_off == LeadOff.OFF:
            lead_off_p = lead_off_n = 0
        c = self._config.channels_per_converter
        mask = (1 << c) - 1
        return [
            status_word(lead_off_p >> first & mask, lead_off_n >> first & mask, gpio & 0xF)
            for first in range(0, len(self._config.labels), c)
        ]

    def times(self, t_us: int | Sequence[int], n: int) -> list[int]:
        """Data-ready of `n` conversions; from the first one the others follow at the nominal rate."""
        try:
            first = operator.index(t_us)  # type: ignore[arg-type]
        except TypeError:
            return [int(t) for t in t_us]  # type: ignore[union-attr]
        num, den = self._setup.rate.numerator, self._setup.rate.denominator
        return [first + k * 1_000_000 * den // num for k in range(n)]
