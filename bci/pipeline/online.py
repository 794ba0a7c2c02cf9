"""The one online step: chunk in, predictions out. Loads numpy and numba only.

The sum itself is one kernel call (`bci.pipeline.fused`); here stands what surrounds it: gaps, dead channels, the
decision grid, calibrated probabilities, and references that follow the run.
"""

from __future__ import annotations

import numpy as np

from bci.chunks import Chunk, SignalInfo
from bci.decisions import Prediction
from bci.decoders.adaptation import AdaptationParameters, Recentring
from bci.dsp import GapPolicy, Marks, oas
from bci.errors import DesignError
from bci.pipeline.chain import rows_taken
from bci.pipeline.fused import TangentStep
from bci.pipeline.model import Model
from bci.pipeline.windows import flat_channels, no_signal

__all__ = ["OnlinePipeline"]


class OnlinePipeline:
    """Electrodes that the model takes → filter bank → sliding covariances → asynchronous decoder, whose references
    follow the run.

    A prediction falls due whenever the board's sample number is a multiple of the step; which chunk brings
    that sample makes no difference, not even to the last bit. Where no decision may rest on a window (start
    of a run, loss, a dead channel) the prediction says so instead of being left out.

    Parameters
    ----------
    model : Model
    info : SignalInfo
        Of the stream that will come.
    adapt : bool
        Whether references may follow the run as the model says; False keeps those of the training.

    Attributes
    ----------
    recentring : Recentring or None
        To freeze, roll back and read the log of the adaptation.

    Raises
    ------
    DesignError
        If the model has no asynchronous decoder.
    RateMismatchError, MontageMismatchError
        If the stream is not what the model was trained on.
    """

    def __init__(self, model: Model, info: SignalInfo, *, adapt: bool = True) -> None:
        self._rows = model.chain.rows(info)
        if model.asynchronous is None:
            raise DesignError("the model was trained for cued windows only: train it with control=True")
        self._decoder = decoder = model.asynchronous
        self._channels, n_taken = model.chain.channels, len(model.chain.channels)
        self._bands = [view.band for view in decoder.views]
        self._window, self._every = model.timing.window_samples, model.timing.step_samples
        parameters = model.asynchronous_adaptation if adapt else None
        self.recentring = None if parameters is None else Recentring(decoder, parameters)
        self._gaps = GapPolicy(n_taken, fs_hz=model.chain.fs_hz)
        self._marks = Marks()
        self._fused = TangentStep(
            list(model.chain.sos),
            n_channels=n_taken,
            window_samples=self._window,
            step_samples=self._every,
            band_of=self._bands,
            whitening=decoder.whitening,
            weights=decoder.weights,
            bias=decoder.bias,
            shares=decoder.shares,
            clip=decoder.clip,
        )
        # Compile before the first real sample, not on it: noise until the first decision, then forget it.
        n_noise = self._window + model.chain.samples(1.0)
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
        patched = self._gaps.process(rows_taken(chunk, self._rows))
        data, at = patched.data_uv, patched.first_sample
        if patched.reset:
            self._fused.reset()
        if chunk.restart:
            # After a reset of the board numbers begin anew: these would mark other samples.
            self._marks = Marks()
            self._follow_anew()
        self._marks.add(patched.marks)
        predictions = []
        first, after = at, at + data.shape[1]
        # From grid point to grid point: what one decision does to the references holds for the next.
        for end in range(at // self._every * self._every + self._every, after + 1, self._every):
            due = self._fused.process(data[:, at - first : end - first], at)
            predictions.append(self._predict(end, full=due == 1))
            at = end
        if at < after:
            self._fused.process(data[:, at - first :], at)
        self._marks.forget_before(after - self._window)
        return predictions

    def reset(self) -> None:
        """Forget the past; the next chunk is the first of a stream."""
        self._gaps.reset()
        self._fused.reset()
        self._marks = Marks()
        self._follow_anew()

    def _follow_anew(self) -> None:
        """A run begins: references are those of the training again."""
        if self.recentring is not None:
            self.recentring.reset()
            self._fused.follow(self._decoder.whitening)

    def _predict(self, end: int, *, full: bool) -> Prediction:
        classes, last = self._decoder.classes, end - 1
        touching = self._marks.touching(end - self._window, end)
        if touching:
            return no_prediction(last, classes, touching[-1].reason)
        if not full:
            return no_prediction(last, classes, "the window is not full yet")
        flat = flat_channels(self._fused.covariances)
        if len(flat):
            return no_prediction(last, classes, no_signal(self._channels, flat))
        distance = np.sqrt(np.mean(self._fused.distances**2, axis=1))
        probabilities, outliers = self._decoder.probabilities(self._fused.scores, distance)
        p, outlier = probabilities[0], bool(outliers[0])
        if not np.isfinite(p).all():
            return no_prediction(last, classes, "the covariance is singular")
        if self.recentring is not None and may_move(end, self._every, self.recentring.parameters):
            covs = oas(self._fused.covariances, self._window)[self._bands]
            if self.recentring.update(covs, p, sample_index=last, artefact=outlier).weight > 0.0:
                self._fused.follow(self.recentring.decoder.whitening)
        return Prediction(last, classes, tuple(p.tolist()), outlier=outlier)


def may_move(end_sample: int, step: int, parameters: AdaptationParameters) -> bool:
    """Whether the window that ends here is one of those that may move references; the grid decides, not the cut."""
    return end_sample // step % parameters.every == 0


def no_prediction(sample_index: int, classes: tuple[str, ...], reason: str) -> Prediction:
    """A due prediction that cannot be made: even probabilities, marked invalid."""
    return Prediction(sample_index, classes, (1.0 / len(classes),) * len(classes), valid=False, reason=reason)
