"""The board of one step of a visit: a real one, or a simulated one whose wearer follows the cues of this computer.

A simulated board runs in real time where a person watches, and as fast as it can where nobody does: then its world
stands still until the next `read` says how far it may go, so that a cue meets the wearer at exactly its sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bci._version import __version__
from bci.acquisition import Source, open_source
from bci.acquisition.simulator import CuedRun, SimulatedBoard, Synthetic
from bci.chunks import Chunk, SignalInfo
from bci.errors import DesignError, DeviceError, DeviceLostError, DeviceTimeoutError
from bci.language import _
from firmware_protocol import LeadOff

__all__ = ["Bench", "Wearer"]

#: Longest run of a simulated wearer, s.
RUN_S = 7200.0
#: A board that is there and sends nothing for so long has stopped, s.
SILENCE_S = 10.0
#: At most so much at once in real time, so that screens and keys are looked at often.
SLICE_S = 0.05
WAIT_S = 0.25


@dataclass(frozen=True, slots=True)
class Wearer:
    """Who wears the simulated board.

    Parameters
    ----------
    seed : int
        The person.
    intent : float
        How well he or she can do it: 1 an able novice, 0 nobody at home.
    movement : {"intended", "executed"}
    day : int
        Another number is another hour: other noise, the same person.
    montage : tuple of str
        Empty: the usual 16 electrodes.
    impedance_kohm : tuple of float
        Empty: drawn from the seed.
    faults : tuple of mapping
        As `SimulatedBoard` takes them.
    """

    seed: int = 0
    intent: float = 1.0
    movement: str = "intended"
    day: int = 0
    montage: tuple[str, ...] = ()
    impedance_kohm: tuple[float, ...] = ()
    faults: tuple[Mapping[str, Any], ...] = ()

    def signal(self) -> Synthetic:
        """What the board plays."""
        run = CuedRun(
            classes=("rest", "left", "right"),
            movement="executed" if self.movement == "executed" else "intended",
            asked_s=RUN_S,
        )
        montage: dict[str, Any] = {"montage": self.montage} if self.montage else {}
        return Synthetic(seed=self.seed, intent=self.intent, runs=(run,), first_run=100 * self.day, **montage)


class Bench:
    """Open a board; a context manager.

    Parameters
    ----------
    port : str or None
        None: a simulated board.
    fast : bool
        Of a simulated board: its world waits for `read`; otherwise it keeps real time.
    wearer : Wearer
        Of a simulated board.
    record_to : Path, optional
        Record the wire into this new file.
    notes : mapping
        Kept in the recording; no identity.
    baud : int

    Attributes
    ----------
    source : Source
    info : SignalInfo
    port : str
    board : SimulatedBoard or None
    next_sample : int
        Conversion that `read` will give next; -1 before the first.
    away : bool
        The cable is out or the board is gone; it is being looked for.
    """

    def __init__(
        self,
        port: str | None = None,
        *,
        fast: bool = False,
        wearer: Wearer | None = None,
        record_to: Path | None = None,
        notes: Mapping[str, Any] | None = None,
        baud: int = 921_600,
    ) -> None:
        self._stack = ExitStack()
        self._baud = baud
        wearer = wearer or Wearer()
        self.board: SimulatedBoard | None = None
        self.fast = fast and port is None
        self.away = False
        self.next_sample = -1
        self._silent_s = 0.0
        self.source: Source
        self._open(port, wearer, baud, record_to, dict(notes or {}))

    def _open(
        self, port: str | None, wearer: Wearer, baud: int, record_to: Path | None, notes: dict[str, Any]
    ) -> None:
        try:
            if port is None:
                self.board = self._stack.enter_context(
                    SimulatedBoard(
                        wearer.signal(),
                        baud=baud,
                        speed=0 if self.fast else 1,
                        impedance_kohm=wearer.impedance_kohm or None,
                        faults=wearer.faults,
                    )
                )
                port = self.board.port
                if self.fast:
                    self.board.allow(0)
            self.port = port
            self.source = self._connect(record_to, notes)
        except BaseException:
            self._stack.close()
            raise

    def _connect(self, record_to: Path | None, notes: Mapping[str, Any]) -> Source:
        facts = {"software": f"bci {__version__}", **notes}
        source = open_source(self.port, baud=self._baud, record_to=record_to, notes=facts, reconnect=True)
        self.info: SignalInfo = source.info  # stays known while the board is away
        return source

    def record(self, path: Path, notes: Mapping[str, Any]) -> None:
        """Between two runs: from here on everything goes into this new recording."""
        self.source.close()
        self.source = self._connect(path, notes)
        self.next_sample = -1
        self.away = False

    @property
    def simulated(self) -> bool:
        return self.board is not None

    def start(self) -> None:
        """Begin a run."""
        self.source.start()

    def stop(self) -> None:
        """End a run."""
        self.source.stop()

    def read(self, seconds: float) -> list[Chunk]:
        """What comes next, at most about `seconds` of it; less in real time, never nothing when the world stands still.

        Raises
        ------
        DeviceTimeoutError
            If a board that is there has sent nothing for 10 s.
        DeviceLostError
            If the board was reset in the middle: trials and decisions are kept by the numbers of its samples.
        """
        if not self.fast:
            return self._took(self.source.read(min(max(seconds, 0.001), SLICE_S)), SLICE_S)
        assert self.board is not None
        wanted = max(round(seconds * self.info.fs_hz), 1)
        self.board.allow(wanted)
        chunks: list[Chunk] = []
        got = empty = 0
        while got < wanted and empty < 2:
            came = self._took(self.source.read(WAIT_S), WAIT_S)
            chunks += came
            got += sum(chunk.n_samples + chunk.lost_before for chunk in came)
            empty = empty + 1 if not came else 0
            if self.away:
                break
        return chunks

    def _took(self, chunks: list[Chunk], waited_s: float) -> list[Chunk]:
        for chunk in chunks:
            for marker in chunk.markers:
                if marker.source == "host" and marker.label in ("lost", "returned"):
                    self.away = marker.label == "lost"
            if chunk.n_samples:
                if chunk.restart and chunk.first_sample < self.next_sample:
                    raise DeviceLostError(
                        _(
                            "The board on {port} was reset and counts its samples anew; this part of the visit cannot "
                            "go on across that. See to its power and cable, then begin this part again."
                        ).format(port=self.port),
                        port=self.port,
                    )
                self.next_sample = chunk.end_sample
        if chunks or self.away:
            self._silent_s = 0.0
            return chunks
        self._silent_s += waited_s
        if self._silent_s > SILENCE_S:
            raise DeviceTimeoutError(
                _("Nothing came from the board on {port} for {seconds} s; check its power and cable.").format(
                    port=self.port, seconds=f"{SILENCE_S:.0f}"
                ),
                port=self.port,
            )
        return chunks

    def idle(self) -> None:
        """Nothing streams, and somebody is waited for: serve the port a little."""
        self.source.read(0.0 if self.fast else SLICE_S)

    def cue(self, label: str, *, task_s: float) -> None:
        """Mark the next sample with a cue; a simulated wearer sees it."""
        self.source.mark(label)
        if self.board is not None and not self.away:
            self.board.ask(label, task_s=task_s)

    def mark(self, label: str, *, value: int = 0) -> None:
        """Mark the next sample."""
        self.source.mark(label, value=value)

    def measure_impedance(self, on: bool = True) -> LeadOff | None:
        """Switch the board's lead-off tone; the mode it is in now, None where the board has none."""
        mode = LeadOff.AC_QUARTER_RATE if on else LeadOff.OFF
        return mode if self._excite(mode) and on else None

    def watch_contact(self, on: bool = True) -> bool:
        """Switch the direct current by which the converter's comparators notice an electrode that falls off.

        It may stay on beside the signal: 6 nA through 20 kΩ are a constant 0.12 mV, below every band that is decoded
        and a thousandth of the converter's range; through an open input they drive it to its end at once. What the
        comparators say comes with samples of boards that send status words. False where the board has no such current,
        or it is off now.

        References
        ----------
        .. [1] ADS1299 data sheet SBAS499C, sections 9.3.2.4 (lead-off) and 9.6.1.5 (LOFF: 6 nA, comparators).
        """
        return self._excite(LeadOff.DC if on else LeadOff.OFF) and on

    def _excite(self, mode: LeadOff) -> bool:
        client = getattr(self.source, "client", None)
        if client is None or not hasattr(client, "set_lead_off"):
            return False
        try:
            client.set_lead_off(mode)
        except (DeviceError, DesignError):
            return False
        return True

    def close(self) -> None:
        """Twice is fine."""
        if hasattr(self, "source"):
            self.source.close()
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
