"""Minimum distance to mean, plain and after geodesic filtering: parity with pyRiemann."""

from __future__ import annotations

import numpy as np
import pytest
from pyriemann.classification import MDM, FgMDM

from bci.decoders import FgMdmDecoder, MdmDecoder
from bci.dsp import covariances
from bci.errors import RankDeficientError
from tests.decoders.made_up import windows


@pytest.mark.parametrize("classes", [("grasp", "rest"), ("left", "rest", "right")])
def test_probabilities_are_pyriemanns(classes: tuple[str, ...]) -> None:
    x, y = windows(20, classes)
    covs = covariances(x, shrinkage="oas")
    for ours, theirs in ((MdmDecoder(), MDM()), (FgMdmDecoder(), FgMDM())):
        ours.fit(x, y)
        theirs.fit(covs, y)
        assert ours.classes_.tolist() == theirs.classes_.tolist()
        assert np.mean(ours.predict(x) == theirs.predict(covs)) >= 0.98
        if isinstance(ours, FgMdmDecoder) and len(classes) > 2:
            continue  # theirs keeps as many directions as classes, of which one is rounding where classes are equal
        expected = theirs.transform(covs)
        # their means stop at 1e-8
        assert np.abs(ours.distances(covs) - expected).max() < 1e-7 * expected.max()


def test_distances_to_given_means_are_pyriemanns_to_the_last_digits() -> None:
    x, y = windows(20, ("grasp", "rest"))
    covs = covariances(x, shrinkage="oas")
    ours, theirs = MdmDecoder().fit(x, y), MDM().fit(covs, y)
    theirs.covmeans_ = list(ours.means_)
    assert ours.distances(covs) == pytest.approx(theirs.transform(covs), rel=1e-9)


def test_singular_covariances_are_refused_without_shrinkage() -> None:
    x, y = windows(10, ("grasp", "rest"))
    with pytest.raises(RankDeficientError, match="average reference"):
        MdmDecoder(shrinkage="none").fit(x - x.mean(axis=1, keepdims=True), y)
