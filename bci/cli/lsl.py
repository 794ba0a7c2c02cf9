"""`bci lsl`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bci.cli._lists import numbers

if TYPE_CHECKING:
    from bci.acquisition import Source
    from bci.chunks import Chunk
    from bci.interop.lsl import LslOutlets

__all__ = ["command"]

READ_S = 0.1
LAST_S = 0.5  # liblsl sends by threads of its own and drops what waits when the streams close


@click.command("lsl", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("port", metavar="PORT|FILE.bfp")
@click.option("--name", default="bci", show_default=True, help="Of the stream; the others are NAME-markers …")
@click.option(
    "--filter", "band", metavar="LOW,HIGH", help="Also NAME-filtered: causal band-pass in Hz, e.g. 8,30."
)
@click.option("--notch", metavar="HZ", help="Lines to remove from NAME-filtered, e.g. 50.")
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    help="Also NAME-probabilities and NAME-commands: what this model decides. No hand is moved.",
)
@click.option("--baud", type=click.IntRange(9600), default=921_600, show_default=True)
@click.option("--record", type=click.Path(path_type=Path), metavar="FILE.bfp", help="Record the wire, too.")
@click.option(
    "--seconds", type=click.FloatRange(0.0, min_open=True), help="End after so long. Default: Ctrl-C."
)
@click.option(
    "--wait",
    "wait_s",
    type=float,
    default=0.0,
    help="Begin when somebody listens, at the latest after so long.",
)
def command(
    port: str,
    name: str,
    band: str | None,
    notch: str | None,
    model: Path | None,
    baud: int,
    record: Path | None,
    seconds: float | None,
    wait_s: float,
) -> int:
    """Send a board's signal to the network over Lab Streaming Layer, for LabRecorder, OpenViBE, MNE-LSL and others.

    Time stamps are the board's own sample clock on LSL's. A recording is played at the pace at which it was made. To
    take in a stream of another amplifier: `bci record x.bfp --port lsl://NAME`.
    """
    from bci.acquisition import open_source
    from bci.interop.lsl import LslOutlets

    low_high = numbers(band, "--filter", count=2) if band else []
    lines = numbers(notch, "--notch") if notch else []
    if lines and not low_high:
        raise click.UsageError("--notch belongs to --filter")
    options: dict[str, Any] = {"baud": baud} if record is None else {"baud": baud, "record_to": record}
    if port.endswith(".bfp"):
        options["speed"] = 1.0
    with open_source(port, **options) as source:
        stages = _Stages(source, model, low_high, lines)
        outlets = LslOutlets(
            source.info,
            name=name,
            clock=getattr(source, "clock", None),
            filtering=stages.filtering,
            classes=stages.classes,
        )
        info = source.info
        click.echo(
            f"{info.device}: {info.n_channels} channels at {info.fs_hz:g} Hz as LSL stream {name!r}; Ctrl-C ends it",
            err=True,
        )
        if wait_s:
            outlets.wait_for_listener(wait_s)
        source.start()
        began = time.monotonic()
        sent = 0
        try:
            while not source.ended and (seconds is None or time.monotonic() - began < seconds):
                for chunk in source.read(READ_S):
                    outlets.signal(chunk, arrived_ns=source.last_byte_ns or time.monotonic_ns())
                    stages.send(chunk, outlets)
                    sent += chunk.n_samples
        except KeyboardInterrupt:
            pass
        finally:
            if not source.ended:
                source.stop()
            time.sleep(LAST_S)
            click.echo(f"{sent:,} samples sent, {source.statistics.samples_lost} lost before", err=True)
    return 0


class _Stages:
    """What is made of the signal on the way out."""

    def __init__(self, source: Source, model: Path | None, band: list[float], notch: list[float]) -> None:
        self.filtering: dict[str, str] = {}
        self.classes: tuple[str, ...] = ()
        self._cleaning = self._pipeline = self._policy = None
        if band:
            from bci.pipeline import CleaningStage, FilterChain

            low, high = band
            chain = FilterChain.design(source.info, bands_hz=((low, high),), notch_hz=tuple(notch))
            self._cleaning = CleaningStage(chain)
            self.filtering = {"type": "Butterworth, causal", "lower": f"{low:g}", "upper": f"{high:g}"}
            if notch:
                self.filtering["notch"] = " ".join(f"{hz:g}" for hz in notch)
        if model is not None:
            from bci.pipeline import OnlinePipeline, load_model
            from bci.prosthesis import IntentPolicy

            loaded = load_model(model)
            self._pipeline = OnlinePipeline(loaded, source.info)
            self._policy = IntentPolicy(loaded.policy, fs_hz=source.info.fs_hz)
            self.classes = loaded.asynchronous.classes if loaded.asynchronous is not None else ()

    def send(self, chunk: Chunk, outlets: LslOutlets) -> None:
        if not chunk.n_samples:
            return
        if self._cleaning is not None:
            patched = self._cleaning.process(chunk)
            outlets.filtered(patched.data_uv[0], patched.first_sample)
        if self._pipeline is not None and self._policy is not None:
            for prediction in self._pipeline.step(chunk):
                outlets.prediction(prediction)
                if (intent := self._policy.update(prediction)) is not None:
                    outlets.command(intent)
