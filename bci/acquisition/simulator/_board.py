"""A board: signal → converter → reference device → UART → port, at the pace of its crystal and its baud rate.

- Everything happens in device time. `speed` scales it, and with it the line; at speed 0 time passes only as samples
  are made, and samples are made only while the host takes the bytes: nothing is dropped and nothing waits.
- If the port is full the line waits (`_uart.py`), the device's queue fills, and the device drops whole packets and
  counts them.
- Each START begins the next run of the signal. After its last sample the device says RUN_END and converts no more
  until STOP and START. No conversions while stopped, so sample numbers go on where they were.
- Whatever the board does to its signal on purpose goes to the truth file: runs, cues, faults.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.acquisition.simulator._bench_faults import BENCH_FAULTS
from bci.acquisition.simulator._clock import BoardClock
from bci.acquisition.simulator._config import Bench, BoardConfig, Synthetic
from bci.acquisition.simulator._devices import Device, device_kind
from bci.acquisition.simulator._excitation import Excitation
from bci.acquisition.simulator._faults import SIGNAL_FAULTS, WIRE_FAULTS, SignalFaults, WireFaults
from bci.acquisition.simulator._front_end import FrontEnd
from bci.acquisition.simulator._outlets import Outlet
from bci.acquisition.simulator._reference import ReferenceClock
from bci.acquisition.simulator._signals import Asked, BenchSignal, Signal, quantise
from bci.acquisition.simulator._uart import Uart
from bci.chunks import F64
from firmware_protocol import EventSource, LeadOff, Pattern, ReferenceDevice

__all__ = ["Board"]

_ENDLESS = 1 << 62  # samples
_IDLE_S = 0.25
_SHORTEST_SLEEP_S = 0.001
_HOST_ALIVE_S = 5.0
_WRAP = 1 << 32

Report = Callable[[dict[str, Any]], None]


class Board:
    """The board without a process: call `step` whenever its time has come or its outlet can be read.

    Parameters
    ----------
    config : BoardConfig
    signal : Signal
    plug : callable
        Opens an outlet; called for the first one and after each `unplug`.
    report : callable
        Takes the entries of the truth.
    monotonic_ns : callable
    """

    # what a boot sets
    _device: Device
    _clock: BoardClock
    _cues: dict[int, int]  # sample of the present run → code
    _half_heard: bytes
    _told_dropped: int  # of the device's conversions, in the truth already
    _told_lead_off: LeadOff
    _scale_of: int  # config_id of `_uv_per_count`

    def __init__(
        self,
        config: BoardConfig,
        signal: Signal,
        plug: Callable[[], Outlet],
        *,
        report: Report = lambda entry: None,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._signal = signal
        self._plug = plug
        self._report = report
        self._monotonic_ns = monotonic_ns
        # µs per sample is the fraction of these two
        self._us_num, self._us_den = 1_000_000 * signal.rate.denominator, signal.rate.numerator
        self._speed = config.speed
        self._drift = 1.0 + config.drift_ppm * 1e-6
        seed = config.signal.seed if isinstance(config.signal, Synthetic | Bench) else 0
        self._front_end = signal.front_end if isinstance(signal, BenchSignal) else None
        self._reference = ReferenceClock(seed)
        if self._front_end is not None:
            self._drift = 1.0 + self._front_end.truth.clock_ppm * 1e-6
        self._uart = Uart(config.line_baud, WireFaults(report, seed=seed), monotonic_ns)
        self._electrode_faults = SignalFaults(signal.channels, report, seed=seed)
        self._excitation = Excitation(
            len(signal.channels), signal.rate, seed=seed, impedance_kohm=config.impedance_kohm
        )
        self._kind = device_kind(config, signal)
        self._plug_at_ns: int | None = None
        self._run = -1
        self._until: int | None = (
            None  # sample of the present run at which the world waits for the host, at speed 0
        )
        self._later: tuple[int, int, float] | None = None  # (run, its sample, speed from there on)
        self._boot(config.first_sample, config.first_t_us)
        self._uart.outlet = plug()
        for fault in config.faults:
            arguments = dict(fault)
            self.fault(arguments.pop("kind"), arguments)

    # ---- one round -----------------------------------------------------------------------------------------

    def step(self) -> float:
        """Do all that is due; seconds until something is due again, if the host stays silent till then."""
        if self._plug_at_ns is not None and self._monotonic_ns() >= self._plug_at_ns:
            self.plug()
        self._hear()
        self._clock.set_pace(self._pace())
        self._convert()
        self._uart.transmit(self._device, self._clock, self._speed)
        return self._sleep_s()

    @property
    def _converting(self) -> bool:
        return self._device.streaming and not self._run_over

    def _pace(self) -> float:
        if self._speed:
            return self._speed * self._drift
        return 0.0 if self._converting else 1.0

    def _hear(self) -> None:
        """Hand the host's packets to the device one by one, so that no START goes unnoticed between two."""
        data = self._uart.read()
        if data:
            self._heard_ns = self._monotonic_ns()
        packets, self._half_heard = self._kind.split(self._half_heard + data)
        for packet in packets:
            before = self._device.streaming
            now_us = self._clock.now_us()
            self._device.receive(packet, now_us)
            if self._device.streaming and not before:
                self._begin_run(now_us)

    def _begin_run(self, now_us: int) -> None:
        self._run_over = False
        self._at = 0
        self._run_us = now_us
        if self._front_end is not None:  # SET_RATE may have chosen another
            self._us_num, self._us_den = (
                1_000_000 * self._device.rate.denominator,
                self._device.rate.numerator,
            )
            self._reference.begin(now_us)
        self._checking = self._device.pattern != Pattern.OFF
        if self._checking:  # a host that checks its line; no run of the signal is used up
            self._run_length, self._cues = _ENDLESS, {}
            return
        self._run += 1
        self._until = None if self._until is None else 0
        there = self._signal.n_runs is None or self._run < self._signal.n_runs
        self._run_length = self._signal.run_samples(self._run) if there else 0
        self._cues = dict(self._signal.cues(self._run)) if there else {}
        self._report({"run": self._run, "sample": self._device.next_sample, "n_samples": self._run_length})

    # ---- samples -------------------------------------------------------------------------------------------

    def _data_ready_us(self, sample: int) -> int:
        """Device time of a sample of the present run."""
        return self._run_us + (sample + 1) * self._us_num // self._us_den

    def _convert(self) -> None:
        if not self._converting:
            return
        until = self._run_length
        if self._later is not None and self._later[0] == self._run and not self._checking:
            if self._at >= self._later[1]:
                self.set_speed(self._later[2])
            else:
                until = min(until, self._later[1])
        if self._speed:
            due = (self._clock.now_us() - self._run_us) * self._us_den // self._us_num - self._at
        else:
            due = self._batch if self._host_takes_more() else 0
            if self._until is not None and not self._checking:
                until = min(until, self._until)
        n = min(due, until - self._at)
        if n > 0:
            self._make(n)
        if self._at >= self._run_length and self._device.streaming:
            end_us = max(self._clock.now_us(), self._data_ready_us(self._at - 1))
            self._device.end_run(end_us)
            self._run_over = True
            self._report({"run_end": self._run, "sample": self._device.next_sample})

    def _host_takes_more(self) -> bool:
        if self._until is not None and self._at >= self._until and not self._checking:
            return False
        return self._uart.host_takes_more and not self._device.queued_bytes

    def _make(self, n: int) -> None:
        """Convert the next `n` samples of the run, cut where the trigger line or a comparator changes."""
        if self._speed != 1.0 and self._monotonic_ns() - self._heard_ns < _HOST_ALIVE_S * 1e9:
            # The watchdog is there for hosts that died. One that lives cannot keep up with a faster clock.
            self._device.receive(self._kind.keepalive, self._clock.now_us())
        start, first = self._at, self._device.next_sample
        if self._checking:  # what lies at the inputs does not matter
            self._push(np.zeros((n, len(self._signal.channels)), dtype=np.int32))
            self._miss(first, first + n)
            return
        if self._front_end is not None:
            self._measure(self._front_end, n, first)
            return
        uv = self._excited(self._signal.read(self._run, start, n), first)
        counts = quantise(uv, self._scale()).T
        self._electrode_faults.pass_on(counts, first)
        cuts = {0, n} | {at - first for at in self._electrode_faults.lead_off_edges(first, first + n)}
        for cue in self._cues.keys() & range(start, start + n):
            cuts |= {cue - start, min(cue - start + 1, n)}
        edges = sorted(cuts)
        for begin, end in pairwise(edges):
            self._push(counts[begin:end])

    def _measure(self, front_end: FrontEnd, n: int, first: int) -> None:
        """As `_make`, of a bench board: its front end answers the settings that commands have made."""
        device = self._device
        assert isinstance(device, ReferenceDevice)
        setup = device.setup
        device.temperature_c = front_end.temperature_c(first, setup.rate)
        device.supply_mv = round(front_end.supply_mv(first, setup.rate))
        counts = front_end.convert(first, n, setup).T
        self._electrode_faults.pass_on(counts, first)
        for begin, end in pairwise([0, *(at - first for at in front_end.edges(first, first + n, setup)), n]):
            self._push(counts[begin:end], front_end.lead_off_bits(first + begin, setup))
        self._miss(first, first + n)

    def _miss(self, first: int, stop: int) -> None:
        """Conversions behind `first` to `stop` that a bench board's fault `drops` does not fetch."""
        device = self._device
        if self._front_end is None or not isinstance(device, ReferenceDevice):
            return
        missed = self._front_end.missed(first, stop, device.rate)
        if missed:
            device.miss(missed)
            self._at += missed

    def _push(self, counts: NDArray[np.int32], lead_off: int | None = None) -> None:
        device, at = self._device, self._at
        if not device.streaming:
            return
        times_us = [self._data_ready_us(at + k) for k in range(len(counts))]
        if self._front_end is not None:
            times_us = self._front_end.stamped(times_us, device.next_sample)
            self._reference.sent(device.next_sample, times_us, self._front_end.truth.clock_ppm)
        code = self._cues.get(at)
        if code is not None:
            sent = device.event(EventSource.TRIGGER, code, now_us=times_us[0])
            entry = {"cue": self._signal.labels.get(code, ""), "code": code, "sample": device.next_sample}
            self._report(entry if sent else {**entry, "lost": "queue full"})
        if lead_off is None:
            lead_off = self._electrode_faults.lead_off_bits(device.next_sample)
        self._at += device.push_samples(counts, times_us, trigger=code is not None, lead_off_p=lead_off)
        if device.dropped != self._told_dropped:
            self._report({"dropped": device.dropped - self._told_dropped, "sample": device.next_sample})
            self._told_dropped = device.dropped
        if not self._speed:
            self._clock.advance(times_us[-1])

    def _excited(self, uv: F64, first: int) -> F64:
        mode = self._device.lead_off
        if mode != self._told_lead_off:
            self._told_lead_off = mode
            entry = {"lead_off": mode.name.lower(), "sample": first}
            if mode in (LeadOff.AC_31_25_HZ, LeadOff.AC_QUARTER_RATE):
                kohm = dict(zip(self._signal.channels, self._excitation.impedance_kohm.tolist(), strict=True))
                entry |= {"impedance_kohm": kohm, "current_na": self._excitation.current_na}
            self._report(entry)
        off = self._electrode_faults.off_columns(first, first + uv.shape[1])
        return self._excitation.add_to(uv, mode, first, off)

    def _scale(self) -> NDArray[np.float64]:
        if self._scale_of != self._device.config_id:
            self._scale_of = self._device.config_id
            self._uv_per_count = np.array(self._device.uv_per_count)[:, None]
        return self._uv_per_count

    def _sleep_s(self) -> float:
        if self._uart.silent:
            return _SHORTEST_SLEEP_S
        if not self._speed:
            return 0.0 if self._converting and self._host_takes_more() else _IDLE_S
        due = []
        if (next_out_us := self._uart.next_out_us) is not None:
            due.append(self._clock.seconds_until(next_out_us))
        if self._converting:
            frame = self._kind.frame_samples
            last = min((self._at // frame + 1) * frame, self._run_length) - 1
            due.append(self._clock.seconds_until(self._data_ready_us(last)))
        return max(min([*due, _IDLE_S]), _SHORTEST_SLEEP_S)

    # ---- what people and tests do to it --------------------------------------------------------------------

    def set_speed(self, factor: float, *, run: int | None = None, at_sample: int = 0) -> None:
        """Now, or when sample `at_sample` of run `run` is due."""
        if factor < 0:
            raise ValueError(f"speed is 0 or more, got {factor}")
        if run is not None:
            self._later = (run, at_sample, factor)
            return
        self._later = None
        self._speed = factor
        self._clock.set_pace(self._pace())

    def allow(self, n_samples: int | None) -> None:
        """At speed 0: this many more samples, in whole frames, and then wait; None: never wait."""
        frame = self._kind.frame_samples
        self._until = None if n_samples is None else -(-(self._at + n_samples) // frame) * frame

    def ask(self, label: str, task_s: float) -> None:
        """Ask something of the wearer with the next sample."""
        if not isinstance(self._signal, Asked) or not self._converting:
            raise ValueError("nobody can be asked: a recording is played, or the board does not stream")
        self._signal.ask(self._run, self._at, label, task_s)
        self._report({"asked": label, "sample": self._device.next_sample})

    def fault(self, kind: str, arguments: Mapping[str, Any]) -> None:
        """Set a fault; the kinds and their arguments are those of `SimulatedBoard.fault`."""
        set_by: dict[str, Callable[..., None]] = {
            **dict.fromkeys(WIRE_FAULTS, partial(self._uart.faults.add, kind)),
            **dict.fromkeys(SIGNAL_FAULTS, partial(self._electrode_fault, kind)),
            "stall": self._stall,
            "drift": self._drift_by,
            "reset": self._reset,
            "wrap": self._wrap,
            "unplug": self._unplug_for,
        }
        if self._front_end is not None and kind in BENCH_FAULTS:
            self._report(self._front_end.fault({"kind": kind, **arguments}))
            self._drift = 1.0 + self._front_end.truth.clock_ppm * 1e-6
            return
        if kind not in set_by:
            raise ValueError(f"no fault {kind!r}; there are {', '.join(set_by)}")
        try:
            set_by[kind](**arguments)
        except TypeError as err:  # an argument that this fault does not have
            raise ValueError(f"fault {kind!r}: {err}") from err

    def connect(self, kind: str, options: Mapping[str, Any]) -> None:
        """Put something at the inputs of a bench board; ValueError where there is none."""
        if self._front_end is None:
            raise ValueError("only a board on the bench has inputs that something can be connected to")
        if "at" in options:
            raise ValueError("a connection is made now, not `at` some conversion")
        self._front_end.connect(kind, at=self._device.next_sample, **options)
        self._report({"connected": kind, **options, "sample": self._device.next_sample})

    def reference(self) -> list[tuple[int, int]]:
        """(conversion, ns) of the present run, as a host beside a board in real time would have had them."""
        return list(self._reference.points)

    def unplug(self) -> None:
        if self._uart.outlet is not None:
            self._report({"unplug": self._uart.outlet.url, "sample": self._device.next_sample})
            self._uart.hang_up()
            self._half_heard = b""

    def close(self) -> None:
        self._uart.hang_up()

    def plug(self) -> str:
        """The port, which is a new one if the board was unplugged."""
        self._plug_at_ns = None
        if self._uart.outlet is None:
            self._uart.outlet = self._plug()
            self._report({"plug": self._uart.outlet.url, "sample": self._device.next_sample})
        return self._uart.outlet.url

    def _electrode_fault(
        self,
        kind: str,
        *,
        channels: Sequence[str] | None = None,
        at_sample: int | None = None,
        seconds: float = 1.0,
    ) -> None:
        first = self._device.next_sample if at_sample is None else at_sample
        n_samples = round(seconds * self._device.rate)
        self._electrode_faults.add(kind, channels=channels, first=first, n_samples=n_samples)

    def _stall(self, *, seconds: float = 1.0) -> None:
        self._uart.stall(seconds / (self._speed or 1.0))
        self._report({"fault": "stall", "seconds": seconds, "sample": self._device.next_sample})

    def _drift_by(self, *, ppm: float) -> None:
        self._drift = 1.0 + ppm * 1e-6
        self._clock.set_pace(self._pace())
        self._report({"fault": "drift", "ppm": ppm, "sample": self._device.next_sample})

    def _reset(self) -> None:
        self._report({"fault": "reset", "sample": self._device.next_sample})
        self._boot(0, 0)

    def _wrap(self, *, samples: int = 500) -> None:
        self._report({"fault": "wrap", "sample": self._device.next_sample, "first_sample": _WRAP - samples})
        self._boot(_WRAP - samples, _WRAP - samples * self._us_num // self._us_den)

    def _unplug_for(self, *, seconds: float | None = 1.0) -> None:
        self.unplug()
        self._plug_at_ns = None if seconds is None else self._monotonic_ns() + int(seconds * 1e9)

    def _boot(self, first_sample: int, first_t_us: int) -> None:
        self._device = self._kind.boot(first_sample)
        self._told_dropped = 0
        self._told_lead_off = LeadOff.OFF
        self._clock = BoardClock(self._monotonic_ns, start_us=first_t_us)
        self._batch = self._kind.batch_samples
        self._scale_of = -1
        self._at = self._run_length = self._run_us = 0
        self._checking = False
        self._cues = {}
        self._run_over = True
        self._half_heard = b""
        self._heard_ns = self._monotonic_ns()
        self._uart.boot(first_t_us)
