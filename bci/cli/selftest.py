"""`bci selftest`."""

from __future__ import annotations

import json
import time

import click

__all__ = ["command"]


@click.command("selftest", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, metavar="[GROUP|CHECK]...")
@click.option("--nightly", is_flag=True, help="Full size: hours instead of a minute.")
@click.option("--list", "only_list", is_flag=True, help="Say what would be checked, and check nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per check and line.")
def command(names: tuple[str, ...], nightly: bool, only_list: bool, as_json: bool) -> int:
    """Measure on this machine what the documentation promises.

    Without names all groups run (--list names them). Exit status: 0 all reached, 1 a figure was
    missed, 2 could not run.
    """
    from bci.selftest import all_checks, groups

    checks = all_checks()
    known = {*groups(), *(check.name for check in checks)}
    if unknown := [name for name in names if name not in known]:
        raise click.BadParameter(
            f"no check or group is called {unknown[0]!r}; known: {', '.join(sorted(known))}"
        )
    if names:
        checks = [check for check in checks if check.name in names or check.group in names]
    missed = 0
    for check in checks:
        if only_list:
            click.echo(f"{check.group:<12} {check.name:<28} {check.what}: {check.target}")
            continue
        started = time.monotonic()
        result = check.run(nightly)
        took_s = time.monotonic() - started
        missed += not result.passed and result.skipped is None
        if as_json:
            click.echo(
                json.dumps(
                    {
                        "group": check.group,
                        "check": check.name,
                        "what": check.what,
                        "target": check.target,
                        "nightly": nightly,
                        "passed": None if result.skipped else result.passed,
                        "measured": result.measured,
                        "skipped": result.skipped,
                        "took_s": round(took_s, 3),
                        **result.figures,
                    },
                    ensure_ascii=False,
                )
            )
        else:
            _line(check.group, check.what, check.target, result, took_s)
    return 1 if missed else 0


def _line(group: str, what: str, target: str, result: object, took_s: float) -> None:
    from bci.selftest import Result

    assert isinstance(result, Result)
    if result.skipped:
        verdict, colour, words = "skipped", "yellow", result.skipped
    else:
        verdict, colour = ("reached", "green") if result.passed else ("MISSED", "red")
        words = result.measured
    click.secho(f"{verdict:<8}", fg=colour, nl=False)
    click.echo(f"{group}: {what}")
    click.echo(f"        asked {target}; measured {words} ({took_s:.1f} s)")
