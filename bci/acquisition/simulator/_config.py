"""What a simulated board plays and how it is set up: plain values that travel to its process as JSON.

Nothing here loads more than the standard library, so a host that only starts a board pays nothing for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = ["CLASS_CODES", "DEFAULT_MONTAGE", "Bench", "BoardConfig", "CuedRun", "Played", "Synthetic"]

#: Codes that the synthetic cues carry as EVENTs of the trigger line.
CLASS_CODES: Mapping[str, int] = {"rest": 1, "left": 2, "right": 3}

#: Sixteen electrodes over the sensorimotor strip with a frontal, parietal and occipital surround.
DEFAULT_MONTAGE = (
    "F3", "Fz", "F4", "FC5", "FC1", "FC2", "FC6", "C3", "Cz", "C4", "CP5", "CP1", "CP2", "CP6", "O1", "O2",
)  # fmt: skip

#: Usual speed of the line of each dialect.
BAUDS: Mapping[str, int] = {"bfp": 921_600, "cyton": 115_200}

Movement = Literal["executed", "intended"]


@dataclass(frozen=True, slots=True)
class CuedRun:
    """One run of cued trials in shuffled, balanced order.

    Each trial is a fixation period of 3 s, the cue, a task of `task_s` and a pause of 1.5–3 s drawn anew each
    time, so that nothing periodic can be learnt. `movement` says whether the person moves or only intends to:
    the same sources react, less strongly when nothing moves.

    With `asked_s` the run has no cues of its own and lasts so long: the person does what `SimulatedBoard.ask` says,
    as somebody does whose cues are shown by the host computer.
    """

    classes: tuple[str, ...] = ("rest", "right")
    trials_per_class: int = 15
    movement: Movement = "intended"
    task_s: float = 4.0
    asked_s: float = 0.0

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.classes) - set(CLASS_CODES)):
            raise ValueError(f"unknown classes {unknown}; a cued run knows {sorted(CLASS_CODES)}")
        if not self.classes or self.trials_per_class < 1 or self.task_s <= 0 or self.asked_s < 0:
            raise ValueError(
                "a cued run needs at least one class, one trial per class and a task longer than 0 s"
            )
        if self.movement not in ("executed", "intended"):
            raise ValueError(f"movement is 'executed' or 'intended', not {self.movement!r}")


@dataclass(frozen=True, slots=True)
class Synthetic:
    """EEG from cortical sources, as a wearer with this seed would produce it.

    Parameters
    ----------
    seed : int
        The wearer. Same seed, same samples, bit for bit, however they are fetched.
    intent : float
        How strongly intended movement desynchronises the sensorimotor rhythms: 1 is an able novice, 0 is
        nobody at home (the cues come, the rhythms do not react, so every honest decoder ends at chance).
    montage : tuple of str
        Electrodes, 10-05 names.
    rate_hz : int
        Samples per second and channel.
    runs : tuple of CuedRun
        The k-th START plays `runs[k % len(runs)]`, always with fresh noise and a fresh order of trials.
    mains_hz : float
        50 or 60; 0 for a battery on a mountain.
    first_run : int
        Number of the run that the first START plays: the same wearer on another day, with other noise.
    """

    seed: int = 0
    intent: float = 1.0
    montage: tuple[str, ...] = DEFAULT_MONTAGE
    rate_hz: int = 250
    runs: tuple[CuedRun, ...] = (CuedRun(), CuedRun(), CuedRun(), CuedRun())
    mains_hz: float = 50.0
    first_run: int = 0

    def __post_init__(self) -> None:
        if not self.runs:
            raise ValueError("a synthetic signal needs at least one run")
        if not 1 <= len(self.montage) <= 64:
            raise ValueError(f"a board has 1 to 64 channels, the montage names {len(self.montage)}")
        if self.intent < 0 or self.seed < 0:
            raise ValueError(f"seed and intent are not negative, got seed={self.seed}, intent={self.intent}")
        if self.rate_hz < 100:
            raise ValueError(f"sensorimotor rhythms need at least 100 samples per second, got {self.rate_hz}")

    @property
    def labels(self) -> dict[int, str]:
        """Cue code → class name of all classes that occur."""
        names = {name for run in self.runs for name in run.classes}
        return {code: name for name, code in CLASS_CODES.items() if name in names}


@dataclass(frozen=True, slots=True)
class Played:
    """A recording that `bci.interop.write_play_file` has laid down as arrays (npz, no pickle).

    With `repeat` a START after the last run begins with the first again; without, it finds no more signal and
    the board says RUN_END at once.
    """

    path: str
    repeat: bool = False


@dataclass(frozen=True, slots=True)
class Bench:
    """No wearer: a board on a test bench. It answers its settings as a converter of the ADS1299 class does.

    Parameters
    ----------
    seed : int
        The board: its gains, offsets, currents and noise, all within what the data sheet calls typical.
    n_channels : int
        A multiple of 8: whole converters, with status words.
    rate_hz : int
        At power-on; SET_RATE may choose 250, 500, 1000 and 2000 Hz.
    """

    seed: int = 0
    n_channels: int = 8
    rate_hz: int = 250

    def __post_init__(self) -> None:
        if self.seed < 0 or self.n_channels % 8 or not 8 <= self.n_channels <= 64:
            raise ValueError(
                f"a bench board has 8, 16 … 64 channels and a seed of 0 or more, got {self.n_channels} and {self.seed}"
            )
        if self.rate_hz not in (250, 500, 1000, 2000):
            raise ValueError(f"a bench board converts at 250, 500, 1000 or 2000 Hz, not {self.rate_hz}")

    @property
    def channels(self) -> tuple[str, ...]:
        return tuple(f"ch{k + 1}" for k in range(self.n_channels))


@dataclass(frozen=True, slots=True)
class BoardConfig:
    """Everything a board's process is told at its birth.

    Parameters
    ----------
    signal : Synthetic, Played or Bench
    baud : int, optional
        Speed of its serial line, 8N1: real-time pacing lets `baud / 10` bytes per second out. Default:
        921600, of a Cyton 115200.
    samples_per_frame : int, optional
        DATA frame length; by default what one 1/60 s holds, within the frame's and the line's limits.
    speed : float
        1 real time, other positive factors scale clock and baud alike, 0 as fast as the reader takes it.
    dialect : {"bfp", "cyton"}
        This project's protocol, or that of an OpenBCI Cyton; 16 channels are one with a Daisy.
    transport : {"auto", "pty", "socket"}
        "auto" is a raw pseudo-terminal where the system has them, else `socket://127.0.0.1`.
    drift_ppm : float
        How much faster than nominal the board's crystal runs.
    first_sample, first_t_us : int
        Where its counters stand at power-on; near 2**32 they wrap soon.
    truth_path : str, optional
        File to which the board writes what it did to its signal, one JSON object a line.
    impedance_kohm : tuple of float, optional
        Of each electrode, seen by lead-off current; by default drawn from the wearer's seed.
    faults : tuple of mapping
        Faults set before the first byte, each as `SimulatedBoard.fault` takes them (with "kind").
    """

    signal: Synthetic | Played | Bench = field(default_factory=Synthetic)
    baud: int | None = None
    samples_per_frame: int | None = None
    speed: float = 1.0
    dialect: Literal["bfp", "cyton"] = "bfp"
    transport: Literal["auto", "pty", "socket"] = "auto"
    drift_ppm: float = 0.0
    first_sample: int = 0
    first_t_us: int = 0
    truth_path: str | None = None
    impedance_kohm: tuple[float, ...] | None = None
    faults: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.dialect not in BAUDS:
            raise ValueError(f"dialect is one of {', '.join(BAUDS)}, not {self.dialect!r}")
        if self.line_baud <= 0 or self.speed < 0:
            raise ValueError(
                f"baud must be positive and speed not negative, got {self.baud} and {self.speed}"
            )
        if isinstance(self.signal, Bench) and self.dialect != "bfp":
            raise ValueError("a bench board speaks this project's protocol; a Cyton has no such commands")
        if self.transport not in ("auto", "pty", "socket"):
            raise ValueError(f"transport is 'auto', 'pty' or 'socket', not {self.transport!r}")

    @property
    def line_baud(self) -> int:
        """The speed of the line, stated or usual."""
        return BAUDS[self.dialect] if self.baud is None else self.baud

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types; `from_json` gives an equal configuration back."""
        plain = asdict(self)
        plain["signal"]["kind"] = type(self.signal).__name__.lower()
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> BoardConfig:
        fields = dict(plain)
        signal = dict(fields.pop("signal"))
        kind = signal.pop("kind")
        fields["faults"] = tuple(fields.get("faults", ()))
        if fields.get("impedance_kohm") is not None:
            fields["impedance_kohm"] = tuple(fields["impedance_kohm"])
        if kind == "played":
            return cls(signal=Played(**signal), **fields)
        if kind == "bench":
            return cls(signal=Bench(**signal), **fields)
        runs = tuple(CuedRun(**{**run, "classes": tuple(run["classes"])}) for run in signal.pop("runs"))
        montage = tuple(signal.pop("montage"))
        return cls(signal=Synthetic(montage=montage, runs=runs, **signal), **fields)
