"""FP4xx: INFO, and whether DATA is what INFO says (SPEC 4.3, 6.2)."""

from __future__ import annotations

from collections.abc import Iterator

from firmware_protocol.codes import DeviceState
from firmware_protocol.frames import Data, Info
from firmware_protocol.layout import DATA, INFO
from firmware_protocol.limits import INFO_PERIOD_MS
from firmware_protocol.validator.findings import Hit, Level, rule
from firmware_protocol.validator.steps import End
from firmware_protocol.validator.stream import Stream
from firmware_protocol.validator.wire import WireTail, field_bytes

_MUST, _SHOULD, _INFO = Level.MUST, Level.SHOULD, Level.INFO
_STATES = frozenset(DeviceState)
_LATEST_US = INFO_PERIOD_MS * 1200  # a queue may hold INFO up for a while
_LATEST_LOSSY_US = 3 * _LATEST_US  # where packets were lost meanwhile, INFO perhaps among them
_CADENCE_US = INFO_PERIOD_MS * 1500
#: What two INFO of one config_id must agree on. State and lead-off change without a new config_id.
_FIXED = (
    "pages",
    "device_id",
    "firmware",
    "rate_num",
    "rate_den",
    "n_channels",
    "n_samples",
    "sample_type",
    "has_status",
    "channels_per_converter",
)
_PER_PAGE = ("first_channel", "labels", "uv_per_count")


def _config(frame: Data, wire: WireTail) -> tuple[int, int]:
    return wire.span(frame.offset, *field_bytes(DATA, "config_id"))


@rule(
    "FP401",
    "info-missing",
    _MUST,
    "6.2",
    on=(Data, End),
    hint="Send all pages of INFO before the first DATA of a config_id, and once a second: without them nobody "
    "knows what a count is worth.",
)
def info_missing(event: Data | End, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """DATA of a config_id is preceded by the INFO of that config_id; a receiver does not scale it before.

    Where a capture begins in the middle of a stream, or packets are missing, INFO follows within a second.
    """
    current = s.settings.get(event.config_id) if isinstance(event, Data) else s.setting
    for setting in [current] if isinstance(event, Data) else list(s.settings.values()):
        if setting is None or setting.reported or setting.complete or setting.first_data is None:
            continue
        if setting.excused and setting is not current:
            continue  # it was in use for less than the time within which INFO comes
        first = setting.first_data
        now = (
            s.data.t_us
            if isinstance(event, End) and s.data is not None
            else getattr(event, "t_us", first.t_us)
        )
        waited_us = (now - first.t_us) & 0xFFFFFFFF
        over = isinstance(event, End) and not setting.excused
        latest_us = _LATEST_US if s.gaps == setting.gaps else _LATEST_LOSSY_US
        if over or (latest_us < waited_us < 1 << 31):
            setting.reported = True
            have = sorted(setting.pages)
            info = setting.info
            got = "none" if info is None else f"page {', '.join(map(str, have))} of {info.pages}"
            yield Hit(
                _config(first, wire),
                f"no whole INFO of config_id {setting.config_id} within {waited_us / 1e6:.2f} s of its first DATA",
                got,
                "all its pages before the first DATA",
                key="pages" if have else "none",
                t_us=first.t_us,
            )


@rule(
    "FP402",
    "info-late",
    _MUST,
    "6.2",
    on=Info,
    hint="On a change of configuration finish the frame, send INFO with the new config_id, then DATA with it.",
)
def info_late(frame: Info, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """INFO of a config_id comes before its first DATA, not after it."""
    setting = s.settings.get(frame.config_id)
    if setting is None or setting.first_data is None or setting.complete or setting.reported:
        return
    if len(setting.pages | {frame.page: frame}) < frame.pages or (setting.excused and not s.seq_back):
        return
    setting.reported = True
    first = setting.first_data
    yield Hit(
        wire.span(frame.offset, *field_bytes(INFO, "config_id")),
        f"INFO of config_id {frame.config_id} comes {setting.conversions_before_info} conversions late: its first "
        f"DATA is frame {setting.first_data_packet} at byte {first.offset}",
        f"after {setting.data_frames} DATA frames",
        "before the first",
    )


@rule(
    "FP403",
    "info-cadence",
    _SHOULD,
    "6.2",
    on=(Info, End),
    hint="Send a round of INFO once a second, so that a receiver that joins late can scale within that time.",
)
def info_cadence(event: Info | End, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """A round of INFO comes once a second."""
    last, now = s.info_us, s.device_us
    if last is None or now is None or s.restarted_here or s.gaps != s.info_gaps:
        return  # it may have been lost
    first_page = not isinstance(event, Info) or event.page == 0
    if first_page and now - last > _CADENCE_US:
        place = event.offset if isinstance(event, Info) else wire.end - 1
        yield Hit((place, place + 1), "no INFO for a while", f"{(now - last) / 1e6:.2f} s", "1 s")


@rule(
    "FP404",
    "info-contradiction",
    _MUST,
    "4.3",
    on=Info,
    hint="A change of rate, gain, input or channels needs a new config_id: +1, then INFO, then DATA.",
)
def info_contradiction(frame: Info, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """All INFO of one config_id within one boot say the same."""
    setting = s.settings.get(frame.config_id)
    known = setting.info if setting is not None else None
    if setting is None or known is None:
        return
    pairs = [(name, getattr(known, name), getattr(frame, name)) for name in _FIXED]
    if (same := setting.pages.get(frame.page)) is not None:
        pairs += [(name, getattr(same, name), getattr(frame, name)) for name in _PER_PAGE]
    for name, was, now in pairs:
        if was != now:
            layout = next((f for f in INFO.fields if f.name == name), None)
            at = (12, 13) if layout is None else (layout.offset, layout.offset + layout.size)
            text = f"INFO of config_id {frame.config_id} says another {name} than before"
            yield Hit(wire.span(frame.offset, *at), text, str(now), str(was), key=name)


@rule(
    "FP405",
    "info-pages",
    _MUST,
    "4.3",
    on=Info,
    hint="first_channel counts from 0; page p begins where page p - 1 ends, and the last ends at n_channels.",
)
def info_pages(frame: Info, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """The pages of INFO name every channel once, in order."""
    span = wire.span(frame.offset, *field_bytes(INFO, "first_channel"))
    setting = s.settings.get(frame.config_id)
    before = setting.pages.get(frame.page - 1) if setting is not None else None
    expected = 0 if frame.page == 0 else None
    if before is not None:
        expected = before.first_channel + len(before.labels)
    got = frame.first_channel
    if expected is not None and got != expected:
        yield Hit(span, f"page {frame.page} begins at channel {got}", str(got), str(expected), key="first")
    end = got + len(frame.labels)
    if frame.page == frame.pages - 1 and end != frame.n_channels:
        text = f"the last page ends at channel {end}"
        yield Hit(span, text, str(end), f"n_channels = {frame.n_channels}", key="end")


@rule(
    "FP406",
    "data-not-as-info",
    _MUST,
    "4.1",
    on=Data,
    hint="n_channels and the format byte of DATA are those of the INFO with the same config_id.",
)
def data_not_as_info(frame: Data, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """A DATA frame has the channels, sample type and status words that the INFO of its config_id states."""
    setting = s.settings.get(frame.config_id)
    info = setting.info if setting is not None else None
    if info is None:
        return
    if frame.n_channels != info.n_channels:
        span = wire.span(frame.offset, *field_bytes(DATA, "n_channels"))
        text = "n_channels of DATA is not that of INFO"
        yield Hit(span, text, str(frame.n_channels), str(info.n_channels), key="n_channels")
    got = (frame.sample_type, frame.has_status, frame.channels_per_converter if frame.has_status else 0)
    expected = (info.sample_type, info.has_status, info.channels_per_converter if info.has_status else 0)
    if got != expected:
        span = wire.span(frame.offset, *field_bytes(DATA, "format"))
        yield Hit(span, "format of DATA is not that of INFO", _format(got), _format(expected), key="format")


@rule(
    "FP407",
    "n-samples-above-info",
    _SHOULD,
    "4.3",
    on=Data,
    hint="n_samples of INFO is that of a full DATA frame; shorter frames are fine, longer ones are not expected.",
)
def n_samples_above_info(frame: Data, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """No DATA frame holds more conversions than INFO says a full one has."""
    setting = s.settings.get(frame.config_id)
    info = setting.info if setting is not None else None
    if info is not None and frame.n_samples > info.n_samples:
        span = wire.span(frame.offset, *field_bytes(DATA, "n_samples"))
        yield Hit(span, "more conversions than a full frame", str(frame.n_samples), str(info.n_samples))


@rule(
    "FP408",
    "config-step",
    _SHOULD,
    "4.1",
    on=Data,
    hint="config_id is +1 (modulo 256) with every change of gain, rate, input or power; also count changes while idle.",
)
def config_step(frame: Data, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """config_id only grows within a boot, by one for each change."""
    if s.step is not None and not s.restarted_here and s.step.whole:
        ahead = (frame.config_id - s.step.before.config_id) & 0xFF
        if ahead >= 0x80:
            got = f"{s.step.before.config_id} → {frame.config_id}"
            yield Hit(_config(frame, wire), "config_id goes back", got, "it only grows")


@rule(
    "FP409",
    "info-values",
    _SHOULD,
    "4.3",
    on=Info,
    hint="One count is about 0.01–10 µV at the electrode; labels are the electrodes' names, each once.",
)
def info_values(frame: Info, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """State, rate, scales and labels of INFO make sense."""
    if frame.state not in _STATES:
        span = wire.span(frame.offset, *field_bytes(INFO, "state"))
        yield Hit(span, "unknown state", str(frame.state), "0, 1 or 2", key="state")
    hz = frame.rate_num / frame.rate_den
    if not 1 <= hz <= 100_000:
        span = wire.span(frame.offset, *field_bytes(INFO, "rate_num"))
        yield Hit(span, "a rate no EEG converter has", f"{hz:g} Hz", "1–100,000 Hz", key="rate")
    for k, (label, uv) in enumerate(zip(frame.labels, frame.uv_per_count, strict=True)):
        at = INFO.size + 24 * k
        if not 1e-6 <= abs(uv) <= 1e4:
            span = wire.span(frame.offset, at + 16, at + 24)
            yield Hit(span, f"µV per count of {label or k}", f"{uv:g}", "about 0.01–10", key="uv_per_count")
        if not label or label in frame.labels[:k]:
            span = wire.span(frame.offset, at, at + 16)
            yield Hit(span, "label is empty or comes twice", repr(label), "a name of its own", key="label")


def _format(parts: tuple[int, bool, int]) -> str:
    kind, status, per = parts
    name = "int24" if kind == 0 else "float32"
    return (
        f"{name} with status words, {per} channels per converter"
        if status
        else f"{name} without status words"
    )
