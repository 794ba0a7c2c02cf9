"""`bci replay`."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

import click

from bci.cli._visit_folder import visit_folder
from bci.language import _, ngettext, thing_word

__all__ = ["command"]


@click.command("replay", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("session", metavar="SESSION|FILE.bfp")
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    help="Folder of all sessions. Default: BCI_SESSIONS, or bci-sessions in your home folder.",
)
@click.option(
    "--speed",
    type=click.FloatRange(0.0),
    default=None,
    help="Play the recording alone: 1 as it was recorded, 10 ten times faster, 0 as fast as this computer can.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result for programs.")
def command(session: str, store: Path | None, speed: float | None, as_json: bool) -> int:
    """Decide again from a session's recording and compare, bit for bit.

    SESSION is the folder that a demonstration or a visit wrote, the recording in it, a user (u-…: the newest visit), or
    USER/VISIT. Exit status 0: everything came out the same; 1: something differs, and the first difference is printed.
    A recording without decisions, or any with --speed, is played through the live path, and what came and what was lost
    is told.
    """
    path = Path(session)
    if session.startswith("u-") and not path.exists():
        path = visit_folder(session, store)
    if speed is not None or _is_alone(path):
        return _play(path, speed or 0.0, as_json)
    from bci.sessions.control_files import control_files
    from bci.sessions.replay import replay_session

    found = replay_session(control_files(path))
    if as_json:
        click.echo(json.dumps({**asdict(found), "identical": found.identical}))
    elif found.identical:
        click.echo(
            _(
                "identical: {predictions} decisions, {intents} intents, {commands} commands to the hand from {events} "
                "events"
            ).format(
                predictions=found.predictions,
                intents=found.intents,
                commands=found.commands,
                events=found.events,
            )
        )
    else:
        click.echo(_("different: {what}").format(what=found.difference))
    return 0 if found.identical else 1


def _is_alone(path: Path) -> bool:
    """A recording beside which no decisions lie, or one that is not there at all."""
    from bci.sessions.control_files import holds_decisions

    is_recording = path.is_file() or (path.suffix == ".bfp" and not path.exists())
    return is_recording and not holds_decisions(path)


def _play(path: Path, speed: float, as_json: bool) -> int:
    from bci.acquisition import RecordingSource
    from bci.sessions.control_files import recording_of

    if path.is_dir():
        path = recording_of(path)
    with RecordingSource(path, speed=speed) as source:
        recording = source.recording
        started = time.monotonic()
        for chunk in source:
            for marker in chunk.markers:
                if not as_json:
                    click.echo(f"{marker.sample_index / source.info.fs_hz:9.3f} s  {marker.label}")
        took_s = time.monotonic() - started
        result = {
            "file": str(path),
            "device": source.info.device,
            "n_channels": source.info.n_channels,
            "rate_hz": source.info.fs_hz,
            "duration_s": recording.duration_s,
            "took_s": took_s,
            "cut_bytes": recording.cut_bytes,
            **asdict(source.statistics),
        }
    if as_json:
        click.echo(json.dumps(result))
        return 0
    s = source.statistics
    click.echo(
        _("{device}: {n} channels at {fs_hz:g} Hz, {seconds:.1f} s of signal in {took:.1f} s").format(
            device=thing_word(source.info.device),
            n=source.info.n_channels,
            fs_hz=source.info.fs_hz,
            seconds=recording.duration_s,
            took=took_s,
        )
    )
    click.echo(
        ngettext(
            "{samples} samples, {lost} lost ({by_board} by the board), {faults} damaged packets, {n} run",
            "{samples} samples, {lost} lost ({by_board} by the board), {faults} damaged packets, {n} runs",
            s.restarts,
        ).format(
            samples=f"{s.samples:,}",
            lost=s.samples_lost,
            by_board=s.samples_lost_device,
            faults=s.faults,
            n=s.restarts,
        )
    )
    if recording.cut_bytes:
        click.echo(
            _("It was cut off within a packet; `bci recover {path}` makes a clean copy.").format(path=path)
        )
    return 0
