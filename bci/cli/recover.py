"""`bci recover`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from bci.language import _

__all__ = ["command"]


@click.command("recover", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.bfp")
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="NEW.bfp", help="Default: FILE-recovered.bfp."
)
@click.option("--force", is_flag=True, help="Replace the new file if it exists already.")
@click.option("--json", "as_json", is_flag=True, help="Print the result for programs.")
def command(file: Path, output: Path | None, force: bool, as_json: bool) -> int:
    """Save what is whole of a recording that was cut off by a crash, a power cut or a full disk.

    All whole packets go into a new file; FILE itself stays as it is. Exit status 2: nothing can be saved.
    """
    from bci.acquisition import Recording, recover_file

    target = output or file.with_name(f"{file.stem}-recovered{file.suffix or '.bfp'}")
    found = recover_file(file, target, force=force)
    recording = Recording(target)
    heard = next(iter(recording), None) is not None
    seconds, samples = (recording.duration_s, recording.statistics.samples) if heard else (0.0, 0)
    if as_json:
        result = {**asdict(found), "was_whole": found.was_whole, "output": str(target)}
        click.echo(json.dumps({**result, "duration_s": seconds, "samples": samples}))
        return 0
    if found.was_whole:
        click.echo(_("{path} was whole; {copy} is a copy of it.").format(path=file, copy=target))
    if found.cut_bytes:
        click.echo(
            _("Left away at the end: {n} bytes of a packet that was not finished.").format(n=found.cut_bytes)
        )
    if found.zero_bytes:
        click.echo(_("Left away at the end: {n} bytes of empty padding.").format(n=found.zero_bytes))
    kept = _("Kept: {bytes} bytes, {samples} samples, {seconds:.1f} s of signal: {path}")
    click.echo(
        kept.format(bytes=f"{found.kept_bytes:,}", samples=f"{samples:,}", seconds=seconds, path=target)
    )
    return 0
