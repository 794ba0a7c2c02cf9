"""Checks of the protocol group: what damage costs, codecs held against each other, rates."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bci.errors import BciError
from bci.selftest import _c_codec, _conform, _corruption, _decoders
from bci.selftest._check import Check, Result

__all__ = ["CHECKS"]

_Sites = list[_corruption.Site]


def _sites(nightly: bool) -> _Sites:
    """Packets of each type; nightly the large ones too, and each of the small ones in a row of DATA."""
    small, large = _corruption.SMALL, _corruption.LARGE
    if not nightly:
        return [_corruption.Site(small[name]) for name in ("event", "data with status words")]
    in_a_row = [_corruption.Site(frame, in_a_row=True) for frame in small.values()]
    return [_corruption.Site(frame) for frame in (small | large).values()] + in_a_row


def _counted(what: str, measure: Callable[[bool], int]) -> Callable[[bool], Result]:
    """`measure` returns how many of `what` were tried and raises BciError at the first that is wrong."""

    def run(nightly: bool) -> Result:
        start = time.perf_counter()
        try:
            n = measure(nightly)
        except BciError as err:
            return Result(False, str(err))
        seconds = time.perf_counter() - start
        return Result(
            True, f"{n:,} {what}, none wrong", {"tried": n, "wrong": 0, "seconds": round(seconds, 1)}
        )

    return run


def _one_and_two_bits(nightly: bool) -> int:
    sites = _sites(nightly)
    return sum(_corruption.single_bits(site) + _corruption.all_pairs(site) for site in sites)


def _many_bits(nightly: bool) -> int:
    return _corruption.random_errors(_sites(nightly), 10_000_000 if nightly else 100_000, seed=9)


def _bytes(nightly: bool) -> int:
    sites = _sites(nightly)
    return sum(_corruption.deleted_bytes(site) + _corruption.inserted_bytes(site) for site in sites)


def _bursts(nightly: bool) -> int:
    each = 50 if nightly else 4
    return sum(_corruption.bursts(site, each=each) for site in _sites(nightly))


def _garbage(nightly: bool) -> int:
    return _corruption.garbage(1_000_000_000 if nightly else 10_000_000, seed=8)


def _decoders_agree(nightly: bool) -> int:
    return _decoders.compare_decoders(100_000 if nightly else 120, seed=10)[1]


def _with_c(measure: Callable[[Path, bool], int]) -> Callable[[bool], Result]:
    """As `_counted`, with the C codec compiled by this machine's compiler."""

    def of_here(nightly: bool) -> int:
        with tempfile.TemporaryDirectory() as folder:
            return measure(_c_codec.build(Path(folder)), nightly)

    run = _counted("comparisons", of_here)

    def run_or_skip(nightly: bool) -> Result:
        if _c_codec.compiler() is None:
            return Result(True, "not measured", skipped="no C compiler here (cc, or what CC names)")
        return run(nightly)

    return run_or_skip


def _rate(hostile: bool, least_mb: float) -> Callable[[bool], Result]:
    def run(nightly: bool) -> Result:
        mb = _decoders.decode_rate(64 if nightly else 4, hostile=hostile) / 1e6
        return Result(mb >= least_mb, f"{mb:.0f} MB/s", {"mb_per_s": round(mb, 1)})

    return run


CHECKS: list[Check] = [
    Check(
        "one-and-two-flipped-bits",
        "protocol",
        "every wire error of one and of two flipped bits, exhaustively",
        "no frame that was not sent; the packet hit is lost, no other",
        _counted("errors", _one_and_two_bits),
    ),
    Check(
        "three-to-32-flipped-bits",
        "protocol",
        "random wire errors of 3 to 32 flipped bits, 10 million nightly",
        "no frame that was not sent",
        _counted("errors", _many_bits),
    ),
    Check(
        "deleted-and-inserted-bytes",
        "protocol",
        "each byte deleted, each byte value inserted at each place",
        "exactly the packet hit is lost, with a delimiter none",
        _counted("errors", _bytes),
    ),
    Check(
        "bursts",
        "protocol",
        "bursts of 2 to 64 bits from every bit on",
        "no frame that was not sent",
        _counted("bursts", _bursts),
    ),
    Check(
        "garbage",
        "protocol",
        "noise, text and dense delimiters, a billion bytes nightly",
        "no frame, no exception",
        _counted("bytes", _garbage),
    ),
    Check(
        "kernel-equals-reference",
        "protocol",
        "damaged streams cut anywhere, by the kernel and by the reference decoder",
        "the same events",
        _counted("events", _decoders_agree),
    ),
    Check(
        "c-golden-vectors",
        "protocol",
        "the C codec on all golden vectors, both directions",
        "the same bytes and events",
        _with_c(lambda program, nightly: _c_codec.compare_vectors(program)),
    ),
    Check(
        "c-random-frames",
        "protocol",
        "random frames encoded and decoded by C and by Python, a million nightly",
        "the same bytes and fields",
        _with_c(
            lambda program, nightly: _c_codec.compare_frames(
                program, 1_000_000 if nightly else 2_000, seed=11
            )
        ),
    ),
    Check(
        "c-damaged-streams",
        "protocol",
        "damaged streams decoded by C and by Python, 200,000 packets nightly",
        "the same frames and faults",
        _with_c(
            lambda program, nightly: _c_codec.compare_damage(program, 200_000 if nightly else 1_000, seed=12)
        ),
    ),
    Check(
        "decode-rate",
        "protocol",
        "wire to columns, 8 channels × 4 samples a packet, one core",
        "at least 600 MB/s",
        _rate(False, 600),
    ),
    Check(
        "decode-rate-hostile",
        "protocol",
        "a delimiter in every other byte, one core",
        "at least 100 MB/s",
        _rate(True, 100),
    ),
    Check(
        "conformance",
        "protocol",
        "conformance steps against the simulated board, in short over its port; nightly all, in memory, ten minutes of "
        "stream",
        "0 findings",
        _conform.conformance,
    ),
]
