"""Who may come in: the token, and no page but ours."""

from __future__ import annotations

import pytest

from bci.web.gate import Gate

GATE = Gate(("127.0.0.1:8000", "localhost:8000"), "secret-token", "bci_8000")
SCREEN = Gate(("192.168.1.5:9000",), "other-token", "bci_9000", read_only=True)
COOKIE = "a=b; bci_8000=secret-token; c=d"


def headers(**values):
    return {"host": "127.0.0.1:8000", "cookie": COOKIE} | values


def test_the_cookie_or_the_link_opens_the_page():
    assert GATE.refusal(headers()) == 0
    assert GATE.refusal({"host": "localhost:8000"}, query="t=secret-token") == 0


@pytest.mark.parametrize(
    ("cookie", "query"),
    [
        ("", ""),
        ("bci_8000=wrong", ""),
        ("bci_9000=secret-token", ""),
        ("", "t="),
        ("", "t=secret-toke"),
        ("", "t=secret-token2"),
        ("", "token=secret-token"),
        ('bci_8000="secret', "t=%ff%00"),
    ],
)
def test_without_the_token_nothing_opens(cookie, query):
    assert GATE.refusal({"host": "127.0.0.1:8000", "cookie": cookie}, query=query) == 401


@pytest.mark.parametrize(
    "host", ["", "evil.example:8000", "127.0.0.1", "127.0.0.1:8001", "127.0.0.1:8000.evil.example"]
)
def test_a_name_that_was_pointed_at_this_machine_is_not_served(host):
    assert GATE.refusal(headers(host=host)) == 421


@pytest.mark.parametrize(
    "origin", ["", "null", "http://evil.example", "https://127.0.0.1:8000", "http://127.0.0.1:8001"]
)
def test_only_our_own_page_opens_the_socket_or_acts(origin):
    values = headers(origin=origin) if origin else headers()
    assert GATE.refusal(values, socket=True) == 403
    assert GATE.refusal(values, acts=True) == 403


def test_our_own_page_may_act():
    assert GATE.refusal(headers(origin="http://127.0.0.1:8000"), acts=True) == 0
    assert GATE.refusal(headers(host="localhost:8000", origin="http://localhost:8000"), socket=True) == 0


def test_another_page_may_not_even_read():
    assert GATE.refusal(headers(origin="http://evil.example")) == 403


def test_a_second_screen_looks_and_does_not_act():
    own = {"host": "192.168.1.5:9000", "origin": "http://192.168.1.5:9000", "cookie": "bci_9000=other-token"}
    assert SCREEN.refusal(own) == 0
    assert SCREEN.refusal(own, socket=True) == 0
    assert SCREEN.refusal(own, acts=True) == 403


def test_the_cookie_stays_in_this_browser():
    assert GATE.set_cookie() == "bci_8000=secret-token; Path=/; HttpOnly; SameSite=Strict"
