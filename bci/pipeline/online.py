"""The one online step: chunk in, predictions out. Loads numpy and numba only."""

from __future__ import annotations

import numpy as np

from bci.chunks import Chunk, SignalInfo
from bci.decisions import Prediction
from bci.dsp import oas
from bci.pipeline.model import Model
from bci.pipeline.windows import SlidingWindow, SlidingWindows

__all__ = ["OnlinePipeline"]


class OnlinePipeline:
    """Filter → sliding covariance → asynchronous decoder.

    A prediction falls due whenever the board's sample number is a multiple of the step; which chunk brings
    that sample makes no difference, not even to the last bit. Where no decision may rest on a window (start
    of a run, loss, a dead channel) the prediction says so instead of being left out.

    Parameters
    ----------
    model : Model
    info : SignalInfo
        Of the stream that will come.

    Raises
    ------
    RateMismatchError, MontageMismatchError
        If the stream is not what the model was trained on.
    """

    def __init__(self, model: Model, info: SignalInfo) -> None:
        model.chain.require(info)
        self._decoder = model.asynchronous
        self._n_samples = model.timing.window_samples
        self._windows = SlidingWindows(
            model.chain, window_samples=self._n_samples, step_samples=model.timing.step_samples
        )
        # Compile before the first real sample, not on it: noise until the first decision, then forget it.
        n_noise = self._n_samples + model.chain.samples(1.0)
        noise = np.random.default_rng(0).standard_normal((info.n_channels, n_noise))
        self.step(Chunk(np.asfortranarray(noise), 0, restart=True))
        self.reset()

    def step(self, chunk: Chunk) -> list[Prediction]:
        """Predictions that fall due with this chunk, in order of time; often none.

        Raises
        ------
        ShapeError
            If the chunk has another number of channels or overlaps the samples before it.
        """
        return [self._predict(window) for window in self._windows.process(chunk)]

    def reset(self) -> None:
        """Forget the past; the next chunk is the first of a stream."""
        self._windows.reset()

    def _predict(self, window: SlidingWindow) -> Prediction:
        classes = self._decoder.classes
        if window.covariance is None:
            return no_prediction(window.end_sample - 1, classes, window.reason)
        # One covariance at a time: what comes beside it in a chunk must not touch its bits.
        shrunk = oas(window.covariance[None], self._n_samples)
        probabilities, outlier = self._decoder.predict_proba(shrunk)
        if not np.isfinite(probabilities).all():
            return no_prediction(window.end_sample - 1, classes, "the covariance is singular")
        return Prediction(
            window.end_sample - 1, classes, tuple(probabilities[0].tolist()), outlier=bool(outlier[0])
        )


def no_prediction(sample_index: int, classes: tuple[str, ...], reason: str) -> Prediction:
    """A due prediction that cannot be made: even probabilities, marked invalid."""
    return Prediction(sample_index, classes, (1.0 / len(classes),) * len(classes), valid=False, reason=reason)
