"""What training leaves behind and control runs on: `Model`, plain arrays and numbers."""

from __future__ import annotations

from dataclasses import dataclass

from bci.decoders.adaptation import AdaptationParameters
from bci.decoders.frozen import FrozenEnsemble
from bci.errors import DesignError
from bci.evaluation import EventScore
from bci.pipeline.chain import FilterChain
from bci.prosthesis.policy import PolicyParameters

__all__ = ["Model", "Timing", "Training", "Validation"]


@dataclass(frozen=True, slots=True)
class Timing:
    """Windows of the two decoders.

    Parameters
    ----------
    cue_window_s : (float, float), s
        Window of the cued decoder, relative to the cue.
    task_s : float, s
        How long a cued movement was meant to last.
    window_samples, step_samples : int
        Window and grid of the asynchronous decoder; the grid lies on multiples of the step in the board's
        sample number.

    Raises
    ------
    DesignError
        If the window is not a whole number of steps, or a time is out of proportion.
    """

    cue_window_s: tuple[float, float]
    task_s: float
    window_samples: int
    step_samples: int

    def __post_init__(self) -> None:
        start, end = self.cue_window_s
        # The upper bounds keep a hostile file from asking for all the memory there is.
        if not (-60 <= start < end <= 60 and 0 < self.task_s <= 60):
            raise DesignError(
                f"a cue window of {self.cue_window_s} s in a task of {self.task_s} s is not possible"
            )
        if not (
            1 <= self.step_samples <= self.window_samples <= 100_000
            and self.window_samples % self.step_samples == 0
            and self.window_samples // self.step_samples <= 1000
        ):
            raise DesignError(
                f"windows of {self.window_samples} samples every {self.step_samples} are not possible"
            )


@dataclass(frozen=True, slots=True)
class Training:
    """What a model was trained on.

    Parameters
    ----------
    digest : str
        SHA-256 of the samples and cues.
    runs : int
    duration_s : float, s
    trials : dict of str to int
        Usable cued windows per class.
    dropped : int
        Cues without a usable window.
    """

    digest: str
    runs: int
    duration_s: float
    trials: dict[str, int]
    dropped: int


@dataclass(frozen=True, slots=True)
class Validation:
    """What leaving out one training run at a time showed. Nothing of any later run is in it.

    Parameters
    ----------
    refusal : str
        Why the hand must not be armed with this model, in plain words; "" where it may.
    chance : float
        Balanced accuracy that guessing reaches on average.
    balanced_accuracy, low, high : float or None
        Of cued trials, each decided by a decoder that saw nothing of its run, with the 95 % interval; None
        where there was only one run.
    balanced_accuracy_motor : float or None
        The same of the motor channels alone.
    control : EventScore or None
        What to expect of the policy: each run scored with the operating point that the other runs alone give. Where
        they alone cannot show the budget, what the chosen one did on all of them, and later runs will be worse.
    policy_variants : int
        How many operating points were compared.
    budget_per_min : float
        False activations per minute that the policy was chosen for.
    issued_s : float or None
        When, in seconds since 1970, by the clock of whoever trained.
    """

    refusal: str
    chance: float
    budget_per_min: float
    balanced_accuracy: float | None = None
    low: float | None = None
    high: float | None = None
    balanced_accuracy_motor: float | None = None
    control: EventScore | None = None
    policy_variants: int = 0
    issued_s: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """Filters, decoders, calibration, policy and validation of one user and one montage.

    The cued decoder answers which cue a window followed; the asynchronous one, for which rest is a class,
    runs the hand. The accuracy of the first is never shown as that of the second.

    Parameters
    ----------
    chain : FilterChain
    cued : FrozenEnsemble
    motor : FrozenEnsemble or None
        The cued decoder on `motor_channels` alone: what is left when eyes and visual cortex have no say.
    motor_channels : tuple of str
    asynchronous : FrozenEnsemble or None
        None where only the cued decoder was trained.
    cued_adaptation, asynchronous_adaptation : AdaptationParameters or None
        How references follow a run; None where they stay those of the training.
    timing : Timing
    policy : PolicyParameters
    validation : Validation
    training : Training
    """

    chain: FilterChain
    cued: FrozenEnsemble
    motor: FrozenEnsemble | None
    motor_channels: tuple[str, ...]
    asynchronous: FrozenEnsemble | None
    cued_adaptation: AdaptationParameters | None
    asynchronous_adaptation: AdaptationParameters | None
    timing: Timing
    policy: PolicyParameters
    validation: Validation
    training: Training

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes of the asynchronous decoder, "rest" among them; without one those of the cued decoder."""
        return self.cued.classes if self.asynchronous is None else self.asynchronous.classes

    @property
    def motor_rows(self) -> list[int]:
        """Rows of the signal that `motor` takes."""
        return [self.chain.channels.index(name) for name in self.motor_channels]
