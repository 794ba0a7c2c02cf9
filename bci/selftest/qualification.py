"""The bench itself on the bench: good boards pass, every known fault is found, named and sized.

Each board is a simulated front end with its own gains, offsets, currents and noise; wire and port are left out, so that
hundreds of boards take minutes.
"""

from __future__ import annotations

from bci.selftest._check import Check, Result

__all__ = ["CHECKS"]

FALSE_RATE = MISSED_RATE = 0.01
NEAR = 0.05
GOOD_SEED, TWICE_SEED, SHOWN_SEED = 0, 10_000, 20_000


def _good_boards(nightly: bool) -> Result:
    from bci.qualification.desk import Desk

    many = 200 if nightly else 6
    failed = []
    for seed in range(GOOD_SEED, GOOD_SEED + many):
        results = Desk(seed=seed).run()
        wrong = [f"{r.test} {r.channel or ''}".strip() for r in results if r.verdict != "pass"]
        if wrong:
            failed.append(f"board {seed}: {', '.join(wrong[:3])}")
    rate = len(failed) / many
    measured = f"{len(failed)} of {many} good boards did not pass" + (f"; {failed[0]}" if failed else "")
    return Result(rate <= FALSE_RATE, measured, {"boards": many, "not_passed": len(failed), "rate": rate})


def _missed(nightly: bool) -> Result:
    from bci.qualification.known_faults import KNOWN_FAULTS, try_fault

    each = 40 if nightly else 1
    tried = missed = 0
    examples = []
    for fault in KNOWN_FAULTS:
        for k in range(each):
            trial = try_fault(fault.twice, TWICE_SEED + k, fault.measurements)
            tried += 1
            if not trial.named:
                missed += 1
                examples.append(f"{fault.twice} on board {TWICE_SEED + k}")
    rate = missed / tried
    measured = f"{missed} of {tried} faults of twice the limit missed" + (
        f"; {examples[0]}" if examples else ""
    )
    return Result(rate <= MISSED_RATE, measured, {"faults": tried, "missed": missed, "rate": rate})


def _sizes(nightly: bool) -> Result:
    """All measurements, so that a fault has every chance to be taken for another."""
    from bci.qualification.known_faults import KNOWN_FAULTS, deviation, try_fault

    each = 5 if nightly else 1
    wrong, worst, tried = [], 0.0, 0
    for fault in KNOWN_FAULTS if nightly else KNOWN_FAULTS[::4]:
        for k in range(each):
            trial = try_fault(fault.shown, SHOWN_SEED + k, fault.sizing)
            tried += 1
            off = deviation(trial)
            if not trial.named or trial.others:
                found = trial.found.sentence if trial.found else "nothing"
                wrong.append(f"{fault.shown}: {found} {[o.sentence for o in trial.others]}")
            elif off > NEAR:
                wrong.append(f"{fault.shown}: {100 * off:.1f} % from the truth")
            if trial.found is not None:
                worst = max(worst, off)
    measured = f"{tried} faults, the largest size {100 * worst:.1f} % from the truth" + (
        f"; {wrong[0]}" if wrong else ""
    )
    return Result(not wrong, measured, {"faults": tried, "wrong": len(wrong), "worst_deviation": worst})


CHECKS = [
    Check(
        "bench-good-boards",
        "qualification",
        "Good simulated boards pass every measurement",
        "at most 1 % of 200 boards do not pass",
        _good_boards,
    ),
    Check(
        "bench-missed-faults",
        "qualification",
        "Faults of twice the limit are found and named",
        "at most 1 % of 880 are missed",
        _missed,
    ),
    Check(
        "bench-fault-sizes",
        "qualification",
        "Injected faults are named alone and sized",
        "each within 5 % of the truth, no other fault named",
        _sizes,
    ),
]
