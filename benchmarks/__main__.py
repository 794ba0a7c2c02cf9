"""Run one set of benchmarks: `python -m benchmarks NAME [--quick] [--json FILE] [--plot FILE] [--page FILE]`.

NAME is a module of this folder with a function `run(quick: bool) -> list[Row]`; a module that also has
`plot(path: Path) -> None` makes its picture with --plot, and one with lines of its own brings `table` and `to_json` for
them (decoding, moabb_suite). Results are asserted equal before anything is timed; ours and
the rival take turns, and the ratio printed is the median over the rounds. What is being measured is said on stderr.
Exit code 0: every target reached, 1: not.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from datetime import date
from importlib import import_module
from pathlib import Path

from benchmarks._measure import load, machine, say, table, to_json


def main(argv: list[str] | None = None) -> int:
    names = sorted(
        p.stem for p in Path(__file__).parent.iterdir() if p.stem[0] not in "_." and p.suffix in ("", ".py")
    )
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog="\n".join(f"{name:<12} {_first_line(name)}" for name in names),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=names)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, shorter recordings")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="rows and machine (default: bci-output/benchmarks/NAME.json)",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the picture of this set")
    parser.add_argument(
        "--page", type=Path, metavar="FILE", help="put the table between the two `<!-- NAME -->` of a page"
    )
    args = parser.parse_args(argv)
    module = import_module(f"benchmarks.{args.name}")
    say(args.name)
    before = load()
    rows = module.run(quick=args.quick)
    in_words, as_json = getattr(module, "table", table), getattr(module, "to_json", to_json)
    print(in_words(rows))
    path = args.json or Path("bci-output", "benchmarks", f"{args.name}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine() | {"load before": before}, "rows": [as_json(r) for r in rows]}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if args.page:
        _into_page(args.page, args.name, in_words(rows), before)
    if args.plot:
        args.plot.parent.mkdir(parents=True, exist_ok=True)
        module.plot(args.plot)
    return 0 if all(r.reached for r in rows) else 1


def _first_line(name: str) -> str:
    """What a set measures, read without importing it."""
    source = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def _into_page(page: Path, name: str, lines: str, load_before: str) -> None:
    mark = f"<!-- {name} -->"
    text = page.read_text(encoding="utf-8")
    if text.count(mark) != 2:
        raise SystemExit(f"{page} needs the line `{mark}` twice, where the table begins and ends")
    m = machine()
    told = (
        f"Measured on {date.today().isoformat()}: {m['processor']}, {m['cores']} cores, {m['system']}; "
        f"Python {m['python']}, numpy {m['numpy']}, scipy {m['scipy']}, numba {m['numba']}. "
        f"Load average (1/5/15 min) {load_before} before the run, {m['load average']} after it."
    )
    body = f"{mark}\n{told}\n\n{lines}\n{mark}"
    page.write_text(
        re.sub(f"{mark}.*{mark}", lambda _: body, text, flags=re.DOTALL), encoding="utf-8", newline="\n"
    )


if __name__ == "__main__":
    sys.exit(main())
