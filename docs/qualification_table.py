"""Make the tables and pictures of docs/qualification.md anew: `.venv/bin/python docs/qualification_table.py`.

Every known fault is put into a simulated board of its own, the board goes over the whole bench, and what was injected
stands beside what was found. `--check` changes nothing and says whether the page is up to date.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bci.acquisition.simulator import parse_bench_fault
from bci.qualification.desk import Desk
from bci.qualification.known_faults import KNOWN_FAULTS, deviation, try_fault
from bci.qualification.limits import shipped_limits
from bci.qualification.measurements import MEASUREMENTS
from bci.qualification.result import Take

PAGE = Path(__file__).with_name("qualification.md")
IMAGES = Path(__file__).with_name("images")
SEED = 4200
#: picture → measurement, faults of its board
PICTURES = {
    "noise": ("noise", ("noise:ch4:0.5uV", "flicker:ch2:20Hz")),
    "response": ("response", ("bandwidth:ch2:30Hz",)),
    "crosstalk": ("crosstalk", ("crosstalk:ch1>ch2:-60dB", "crosstalk:ch6>ch7:-80dB", "swap:ch3:ch4")),
    "linearity": ("linearity", ("nonlinear:ch7:-60dB",)),
    "clock": ("clock", ("clock:+80ppm",)),
    "contact": ("contact", ("loose:ch5:12/min",)),
}


def main() -> int:
    text = PAGE.read_text(encoding="utf-8")
    new = text
    for name, table in (
        ("faults", faults_table()),
        ("measurements", measurements_table()),
        ("limits", limits_table()),
    ):
        new = replaced(new, name, table)
    if "--check" in sys.argv:
        print("up to date" if new == text else f"{PAGE.name} is not up to date; run {Path(__file__).name}")
        return int(new != text)
    PAGE.write_text(new, encoding="utf-8")
    for name, (measurement, faults) in PICTURES.items():
        draw(name, measurement, faults)
    return 0


def faults_table() -> str:
    rows = [
        "| injected | truth | found | k = 2 | off by | what the bench says |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for number, fault in enumerate(KNOWN_FAULTS):
        trial = try_fault(fault.shown, SEED + number, fault.sizing)
        found = trial.found
        if found is None or not trial.named or trial.others:
            raise SystemExit(f"{fault.shown} is not named alone: {trial}")
        if not trial.truth["unit"]:
            rows.append(f"| `{fault.shown}` | – | – | – | – | {found.sentence} |")
            continue
        unit = trial.truth["unit"].replace("uV", "µV").replace("/C", "/°C").replace("us", "µs")
        truth, size = (f"{value:.4g} {unit}" for value in (trial.truth["size"], found.size))
        off = f"{100 * deviation(trial):.1f} %"
        rows.append(
            f"| `{fault.shown}` | {truth} | {size} | ±{found.uncertainty:.2g} | {off} | {found.sentence} |"
        )
    return "\n".join(rows)


def measurements_table() -> str:
    rows = [
        "| measurement | what somebody brings | signal (8 channels) | figures |",
        "| --- | --- | --- | --- |",
    ]
    limits = shipped_limits()
    desk = Desk(seed=SEED)
    brought = {
        "nothing": "nothing",
        "test-signal": "nothing, the board's own test signal",
        "shorted": "a strap over all inputs",
        "generator": "a sine generator",
        "resistors": "5.1 kΩ at each input",
        "vibration": "strap and shaker",
        "warming": "warm air",
        "supply": "an adjustable supply",
    }
    for measurement in MEASUREMENTS:
        takes: tuple[Take, ...] = measurement.takes(8)
        few = takes[:2] if measurement.until_failure else takes
        tests = dict.fromkeys(r.test for r in measurement.evaluate([desk.take(take) for take in few], limits))
        seconds = measurement.seconds(8)
        length = (
            f"{seconds / 3600:.1f} h, to the first failure"
            if measurement.until_failure
            else f"{seconds:.0f} s"
        )
        name = f"`{measurement.name}`" + (" (on demand)" if measurement.optional else "")
        figures = ", ".join(f"`{test}`" for test in shortened(list(tests)))
        rows.append(f"| {name} | {brought[measurement.needs]} | {length} | {figures} |")
    return "\n".join(rows)


def shortened(tests: list[str]) -> list[str]:
    """One name for the seven amplifier settings."""
    stems = {"noise-rms-gain-": "…", "gain-error-": "…", "gain-match-": "…"}
    out: dict[str, None] = {}
    for test in tests:
        stem = next((s for s in stems if test.startswith(s)), None)
        out[f"{stem}…" if stem else test] = None
    return list(out)


def limits_table() -> str:
    rows = [
        "| figure | unit | low | high | basis | where it comes from |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, limit in shipped_limits().limits.items():
        low, high = ("" if bound is None else f"{bound:g}" for bound in (limit.low, limit.high))
        rows.append(f"| `{name}` | {limit.unit} | {low} | {high} | {limit.basis} | {limit.source} |")
    return "\n".join(rows)


def draw(name: str, measurement_name: str, faults: tuple[str, ...]) -> None:
    measurement = next(m for m in MEASUREMENTS if m.name == measurement_name)
    desk = Desk(seed=SEED, faults=[parse_bench_fault(text) for text in faults])
    takens = [desk.take(take) for take in measurement.takes(8)]
    results = measurement.evaluate(takens, shipped_limits())
    measurement.picture(takens, results).savefig(IMAGES / f"qualification-{name}.png", dpi=110)


def replaced(text: str, name: str, table: str) -> str:
    start, end = f"<!-- table {name} -->", "<!-- end -->"
    head, _, rest = text.partition(start)
    _, _, tail = rest.partition(end)
    return f"{head}{start}\n{table}\n{end}{tail}"


if __name__ == "__main__":
    sys.exit(main())
