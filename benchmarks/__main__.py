"""Run one set of benchmarks: `python -m benchmarks NAME [--json FILE] [--plot FILE] [--quick]`.

NAME is a module of this folder with a function `run(quick: bool) -> list[Row]`; a module that also has
`plot(path: Path) -> None` makes its picture with --plot. Results are asserted equal before anything is timed; ours and
the rival take turns, and the ratio printed is the median over the rounds. Exit code 0: every target reached, 1: not.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path

from benchmarks._measure import machine, table, to_json


def main(argv: list[str] | None = None) -> int:
    names = sorted(
        p.stem for p in Path(__file__).parent.iterdir() if p.stem[0] not in "_." and p.suffix in ("", ".py")
    )
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n\n")[0])
    parser.add_argument("name", choices=names)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows and the machine")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the picture of this set")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, shorter recordings")
    args = parser.parse_args(argv)
    module = import_module(f"benchmarks.{args.name}")
    rows = module.run(quick=args.quick)
    print(table(rows))
    if args.json:
        content = {"machine": machine(), "rows": [to_json(r) for r in rows]}
        args.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if args.plot:
        module.plot(args.plot)
    return 0 if all(r.reached for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
