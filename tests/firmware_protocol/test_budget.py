from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_protocol import Budget, FrameError, Opcode, budget
from tests.firmware_protocol.bench import Bench

PLANS = [(8, 115200, 4, 319, 309), (8, 921600, 4, 2552, 2542), (8, 3_000_000, 4, 8307, 8298)]
PLANS += [(64, 3_000_000, 2, 1186, 1178)]


@pytest.mark.parametrize(("n_channels", "baud", "samples", "alone", "with_info"), PLANS)
def test_spec_8_highest_rates(n_channels: int, baud: int, samples: int, alone: int, with_info: int) -> None:
    link = budget(n_channels, 250, baud, samples)
    assert int(link.usable_bytes_per_s * samples / link.packet_bytes) == alone
    assert int(link.max_rate_hz) == with_info
    assert budget(n_channels, with_info, baud, samples).fits
    assert not budget(n_channels, with_info + 1, baud, samples).fits


links = st.builds(
    budget,
    st.sampled_from([1, 2, 8, 16, 24, 64]),
    st.integers(1, 16_000),
    st.sampled_from([9600, 115200, 921600, 3_000_000, 12_000_000]),
    st.none() | st.integers(1, 2),
    channels_per_converter=st.sampled_from([8, 4]),
)


@given(links)
def test_what_is_advised_fits(link: Budget) -> None:
    assert Budget(link.n_channels, link.rate_hz, link.min_baud, *parts(link)).fits
    if link.max_rate_hz > 0:
        assert Budget(link.n_channels, link.max_rate_hz * 0.999999, link.baud, *parts(link)).fits
    assert link.fits == (link.load <= 0.9)
    assert link.best().fits or not link.fits
    assert link.best().fits or not any(
        budget(
            link.n_channels, link.rate_hz, link.baud, n, channels_per_converter=link.channels_per_converter
        ).fits
        for n in (1, 2)
    )


def parts(link: Budget) -> tuple[int, bool, int]:
    return link.samples_per_frame, link.has_status, link.channels_per_converter


def test_the_fewest_samples_in_a_packet_that_fit_are_chosen() -> None:
    assert budget(8, 250, 115200).samples_per_frame == 2
    assert not budget(8, 250, 115200, 1).fits
    assert budget(8, 250, 921600).samples_per_frame == 1


def test_advice_says_what_is_needed_and_what_would_fit() -> None:
    text = budget(8, 300, 115200, 1).advice()
    assert "8 channels × 300 SPS (1 sample a packet)" in text
    assert "baud" in text
    assert "4 samples a packet" in text
    assert "What would fit" not in budget(8, 250, 115200, 4).advice()
    assert "SPS" not in budget(64, 300, 1200, 1).advice().split("What would fit")[1]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((0, 250, 115200), "n_channels"),
        ((8, 0, 115200), "rate_hz"),
        ((8, 250, 0), "baud"),
        ((64, 250, 115200, 4), "n_samples"),
    ],
)
def test_what_no_packet_can_hold_is_refused(arguments: tuple[int, ...], field: str) -> None:
    with pytest.raises(FrameError) as caught:
        budget(*arguments)  # type: ignore[arg-type]
    assert caught.value.field == field


def test_the_reference_device_sends_no_more_than_the_budget_says() -> None:
    bench = Bench()
    bench.hear()
    bench.tell(Opcode.START, 0)
    n_bytes = 0
    for _ in range(2500):
        bench.convert(1)
        n_bytes += len(bench.device.poll(bench.now_us))
    link = budget(8, Fraction(250), 115200, samples_per_frame=4)
    planned = 10 * (link.data_bytes_per_s + link.other_bytes_per_s)
    assert 0.97 * planned < n_bytes < planned + 300  # the INFO at START comes on top


def test_latency_is_that_of_filling_and_sending_a_packet() -> None:
    link = budget(8, 250, 115200, samples_per_frame=4)
    assert link.latency_s == pytest.approx(3 / 250 + 130 * 10 / 115200)


def test_float_samples_take_four_bytes() -> None:
    assert budget(4, 250, 115200, 1, sample_type=1).packet_bytes == 20 + 16 + 2
