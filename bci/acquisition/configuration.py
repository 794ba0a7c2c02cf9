"""What the samples of a config_id mean, put together from INFO pages (SPEC 4.3).
 A configuration counts once all its pages are here and agree; until then its DATA is not scaled. A page of
another boot forgets everything that was known: after a reset the board may have given the same numbers
another meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from bci.chunks import SignalInfo
from firmware_protocol import Info

__all__ = ["Configuration", "ConfigurationBook"]


@dataclass(frozen=True, slots=True)
class Configuration:
    """All INFO pages of one config_id as one value. `samples_per_frame`: conversions in a full DATA
    packet."""

    signal: SignalInfo
    config_id: int
    boot_id: int
    samples_per_frame: int
    has_status: bool
    channels_per_converter: int


class ConfigurationBook:
    """Collects INFO pages of one boot."""

    def __init__(self) -> None:
        self.boot_id: int | None = None
        self._pages: dict[int, dict[int, Info]] = {}
        self._whole: dict[int, Configuration] = {}

    def get(self, config_id: int) -> Configuration | None:
        """What is known of `config_id`; None until all its pages came."""
        return self._whole.get(config_id)

    def booted(self, boot_id: int) -> bool:
        """Take note of a boot id; True if it shows that the board was reset since the last one."""
        reset = self.boot_id is not None and boot_id != self.boot_id
        if reset:
            self._pages.clear()
            self._whole.clear()
        self.boot_id = boot_id
        return reset

    def add(self, info: Info) -> Configuration | None:
        """Take a page; returns the configuration if it is whole with this page."""
        # Ids go round: what bore the number half a circle away is long over, and the number may come again.
        over = (info.config_id + 128) % 256
        self._pages.pop(over, None)
        self._whole.pop(over, None)
        pages = self._pages.setdefault(info.config_id, {})
        if pages and _constant(next(iter(pages.values()))) != _constant(info):
            pages.clear()
        pages[info.page] = info
        if len(pages) < info.pages:
            return None
        ordered = sorted(pages.values(), key=lambda page: page.first_channel)
        labels = tuple(label for page in ordered for label in page.labels)
        if len(labels) != info.n_channels:
            return None
        signal = SignalInfo(
            channels=labels,
            rate=Fraction(info.rate_num, info.rate_den),
            uv_per_count=tuple(scale for page in ordered for scale in page.uv_per_count),
            device=f"{info.device_id} {info.firmware}".strip(),
        )
        configuration = Configuration(
            signal, info.config_id, info.boot_id, info.n_samples, info.has_status, info.channels_per_converter
        )
        if configuration != self._whole.get(info.config_id):
            self._whole[info.config_id] = configuration
        return self._whole[info.config_id]  # the same object as long as the board says the same


def _constant(info: Info) -> tuple[object, ...]:
    """What all pages of one configuration have in common."""
    return (info.pages, info.n_channels, info.rate_num, info.rate_den, info.has_status, info.n_samples)
