"""From electrode to hand: acquisition, cleaning, decoding and safe control of a prosthetic hand.

Importing this package costs nothing: every room loads what it needs when it is opened. In the order in
which data flows:

- `bci.acquisition`: boards, recordings and a simulated board give chunks of µV
- `bci.dsp`: filters, artefacts, windows, covariances, features
- `bci.decoders`: scikit-learn estimators of intended movement
- `bci.evaluation`: folds, intervals, chance, matching of events
- `bci.prosthesis`: policy, safety monitor, hands
- `bci.pipeline`: all of it as one online step; training, scoring, model files
- `bci.interop`: MNE, EDF, BDF, BIDS, XDF, LSL, CSV, FHIR, DICOM, both ways
- `bci.sessions`, `bci.batch`, `bci.qualification`, `bci.report`, `bci.web`: what the `bci` command works with

    from bci.acquisition import open_source, Recording, SimulatedBoard
    from bci.pipeline import train, score_cued, load_model
"""

from bci._version import __version__

__all__ = ["__version__"]
