from __future__ import annotations

import pytest

from firmware_protocol import Data, Pattern, pack_counts
from firmware_protocol.patterns import FULL_SCALE, pattern_counts, prbs, ramp


def test_spec_6_6_first_numbers_of_both_patterns() -> None:
    assert [ramp(0, c) for c in range(3)] == [0, 6_356_992, -4_063_232]
    assert ramp(1, 0) == 66_051
    assert (prbs(0, 0), prbs(1, 0)) == (0, 6_850_960)


@pytest.mark.parametrize("of", [ramp, prbs])
def test_patterns_stay_within_24_bits_and_take_both_signs(of: object) -> None:
    values = [of(i, c) for i in range(300) for c in (0, 1, 63)]  # type: ignore[operator]
    assert -FULL_SCALE <= min(values) < -FULL_SCALE * 0.9
    assert FULL_SCALE > max(values) > FULL_SCALE * 0.9


@pytest.mark.parametrize("pattern", [Pattern.RAMP, Pattern.PRBS])
def test_patterns_go_on_where_the_32_bit_number_wraps(pattern: Pattern) -> None:
    assert pattern_counts(pattern, 2**32 + 5, 8) == pattern_counts(pattern, 5, 8)


@pytest.mark.parametrize("pattern", [Pattern.RAMP, Pattern.PRBS])
def test_every_usual_mistake_changes_the_numbers(pattern: Pattern) -> None:
    """Byte order, sign, channel order, a channel off by one, a conversion off by one, a bus that slips a bit."""
    rows = [pattern_counts(pattern, i, 8) for i in range(64)]
    payload = pack_counts(rows)
    swapped = b"".join(payload[k : k + 3][::-1] for k in range(0, len(payload), 3))
    slipped = (int.from_bytes(payload) >> 1).to_bytes(len(payload))
    wrong = [
        Data(0, 0, 0, 0, 8, 64, 0, swapped).counts(),
        [[value & 0xFFFFFF for value in row] for row in rows],
        [row[::-1] for row in rows],
        [row[1:] + row[:1] for row in rows],
        rows[1:] + rows[:1],
        Data(0, 0, 0, 0, 8, 64, 0, slipped).counts(),
    ]
    for variant in wrong:
        assert sum(a != b for a, b in zip(variant, rows, strict=True)) > 16


def test_every_bit_of_the_pseudo_random_pattern_is_set_half_of_the_time() -> None:
    words = [prbs(i, c) & 0xFFFFFF for i in range(2000) for c in (0, 7)]
    for bit in range(24):
        assert 0.45 < sum(word >> bit & 1 for word in words) / len(words) < 0.55
