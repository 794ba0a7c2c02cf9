"""All that the reports ask of MNE: wavelets, heads seen from above, and MNE's own kind of report."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mne
import numpy as np
from matplotlib.axes import Axes

from bci.chunks import F64
from bci.dsp import electrode_positions
from bci.errors import MontageMismatchError
from bci.language import _

__all__ = ["draw_head", "morlet_power", "placed", "save_mne_report"]


def morlet_power(epochs_uv: F64, fs_hz: float, frequencies_hz: F64, *, decim: int) -> F64:
    """Power of Morlet wavelets, half a cycle per Hz and at most 9.

    Parameters
    ----------
    epochs_uv : ndarray, shape (n_epochs, n_channels, n_times)

    Returns
    -------
    power : ndarray, shape (n_epochs, n_channels, n_frequencies, n_times // decim rounded up), µV²
    """
    power: F64 = mne.time_frequency.tfr_array_morlet(
        epochs_uv,
        sfreq=fs_hz,
        freqs=frequencies_hz,
        n_cycles=np.clip(frequencies_hz / 2.0, 3.0, 9.0),
        output="power",
        decim=decim,
        verbose="error",
    )
    return power


def placed(channels: Sequence[str]) -> tuple[list[int], dict[str, F64]]:
    """Rows and places on the head of those channels whose names are of the 10-05 system."""
    rows, places = [], {}
    for i, name in enumerate(channels):
        with contextlib.suppress(MontageMismatchError):
            places[name] = electrode_positions([name])[0]
            rows.append(i)
    return rows, places


def draw_head(axes: Axes, values: F64, channels: Sequence[str], *, largest: float) -> Any:
    """Values on the head, seen from above, nose up; blue falls, red rises. Returns the image, for a colour bar.

    Raises
    ------
    MontageMismatchError
        If fewer than 4 channels have names of the 10-05 system: nothing can be drawn between them.
    """
    rows, places = placed(channels)
    if len(rows) < 4:
        raise MontageMismatchError(
            _("a scalp map needs at least 4 electrodes with 10-05 names, got {n} of {of}").format(
                n=len(rows), of=len(channels)
            ),
            got=tuple(channels),
            expected=(),
        )
    info = mne.create_info(list(places), 250.0, "eeg")
    info.set_montage(mne.channels.make_dig_montage(places, coord_frame="head"))
    image, _lines = mne.viz.plot_topomap(
        np.asarray(values, dtype=np.float64)[rows],
        info,
        axes=axes,
        show=False,
        cmap="RdBu_r",
        vlim=(-largest, largest),
        contours=4,
        names=[channels[i] for i in rows] if len(rows) <= 22 else None,
        extrapolate="local" if len(rows) < 32 else "head",  # of few electrodes nothing is made up beyond them
    )
    return image


def save_mne_report(path: Path, *, title: str, sections: Mapping[str, str], style: str) -> None:
    """Write sections of HTML as an `mne.Report`.

    Raises
    ------
    FileExistsError
        If the file exists.
    """
    report = mne.Report(title=title, verbose="error")
    report.add_custom_css(style)
    for name, html in sections.items():
        report.add_html(html, title=name, tags=("session",))
    report.save(path, open_browser=False, overwrite=False, verbose="error")
