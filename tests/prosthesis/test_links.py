"""Links: what is lost comes back by itself, and says so until then."""

from __future__ import annotations

import socket
import time
from functools import partial

import pytest

from bci.errors import DeviceNotFoundError
from bci.prosthesis import links
from bci.prosthesis.links import ReopeningLink, open_link, read_answer


class Flaky:
    """A link that breaks when told to."""

    def __init__(self, failure=ConnectionResetError):
        self.broken = self.closed = False
        self.failure = failure
        self.answers = []

    def read(self, timeout_s):
        if self.broken:
            raise self.failure("gone")
        return self.answers.pop(0) if self.answers else b""

    def write(self, data):
        if self.broken:
            raise self.failure("gone")

    def close(self):
        self.closed = True


@pytest.fixture
def opened(monkeypatch):
    monkeypatch.setattr(links, "RETRY_S", 0.01)
    return []


def flaky_opener(opened, *, refuse=0, refusal=ConnectionRefusedError, failure=ConnectionResetError):
    def opener():
        if opened and len(opened) <= refuse:
            opened.append(None)
            raise refusal("not yet")
        opened.append(Flaky(failure))
        return opened[-1]

    return opener


@pytest.mark.parametrize("use", [lambda link: link.write(b"x"), lambda link: link.read(0.0)])
@pytest.mark.parametrize(
    ("failure", "refusal"),
    [
        (ConnectionResetError, ConnectionRefusedError),
        (TypeError, partial(DeviceNotFoundError, port="/dev/ttyUSB0")),
    ],
)
def test_a_lost_link_is_an_error_until_it_is_open_again(opened, use, failure, refusal):
    """Also where the errors are not the system's: the project's own serial port says "not found" in its own way."""
    link = ReopeningLink(flaky_opener(opened, refuse=2, failure=failure, refusal=refusal))
    use(link)
    opened[0].broken = True
    with pytest.raises(failure):
        use(link)
    assert opened[0].closed
    until = time.monotonic() + 60.0
    errors = set()
    while time.monotonic() < until:
        try:
            use(link)
            break
        except OSError as err:
            errors.add(str(err))
            time.sleep(0.002)
    assert errors == {"the link was lost and is not open again yet"}
    assert opened[1:3] == [None, None]
    assert isinstance(opened[-1], Flaky)
    link.close()
    assert opened[-1].closed


def test_a_link_that_cannot_be_opened_at_first_is_an_error():
    with pytest.raises(OSError, match="refused"):
        ReopeningLink(lambda: open_link("socket://127.0.0.1:9", baud=1))


def test_a_closed_link_is_not_opened_again(opened):
    link = ReopeningLink(flaky_opener(opened))
    opened[0].broken = True
    with pytest.raises(ConnectionResetError):
        link.write(b"x")
    link.close()
    link.close()
    time.sleep(0.1)
    assert len(opened) == 1


def test_an_answer_is_waited_for_only_as_long_as_told():
    link = Flaky()
    link.answers = [b"", b"a", b"b"]
    assert read_answer(link, lambda data: data.decode() or None, 0.0) is None
    assert read_answer(link, lambda data: data.decode() or None, 5.0) == "a"
    link.answers = [b"", b"", b"b"]
    assert read_answer(link, lambda data: data.decode() or None, 5.0) == "b"
    begun = time.monotonic()
    assert read_answer(link, lambda data: None, 0.02) is None
    assert time.monotonic() - begun >= 0.02


def test_a_peer_that_reads_nothing_is_a_lost_hand():
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = open_link(f"socket://127.0.0.1:{server.getsockname()[1]}", baud=1)
        with pytest.raises(OSError, match=r"temporarily|could be sent|would block"):
            link.write(b"x" * 100_000_000)
        link.close()


def test_a_peer_that_hangs_up_is_a_lost_hand():
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = open_link(f"socket://127.0.0.1:{server.getsockname()[1]}", baud=1)
        server.accept()[0].close()
        with pytest.raises(ConnectionResetError, match="closed the connection"):
            link.read(5.0)
        link.close()
