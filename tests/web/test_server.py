"""The page's server over its real sockets, with clients that are no browsers: what it gives, and what it refuses."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from urllib.parse import urlsplit

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.web.conftest import Feed, wait_until


class Address:
    """One address of a page, its token and cookie."""

    def __init__(self, url):
        parts = urlsplit(url)
        self.host, self.port, self.token = parts.hostname, parts.port, parts.query.removeprefix("t=")
        self.netloc, self.origin = parts.netloc, f"http://{parts.netloc}"
        self.cookie = f"bci_{self.port}={self.token}"

    def ask(self, path="/", method="GET", body=None, **headers):
        line = http.client.HTTPConnection(self.host, self.port, timeout=60)
        line.request(method, path, body, {"Cookie": self.cookie} | headers)
        answer = line.getresponse()
        content = answer.read()
        line.close()
        return answer.status, dict(answer.getheaders()), content

    def socket(self, **options):
        settings = {"origin": self.origin, "cookie": self.cookie, "max_size": 2**24} | options
        return connect(
            f"ws://{self.netloc}/live",
            origin=settings["origin"],
            additional_headers={"Cookie": settings["cookie"]},
            max_size=settings["max_size"],
            proxy=None,
        )


@pytest.fixture(scope="module")
def first(page):
    return Address(page.url)


@pytest.fixture(scope="module")
def second(page):
    return Address(page.second_screen_url)


def hear(ws, wanted):
    """The next message for which `wanted` is true; objects are parsed."""
    while True:
        raw = ws.recv(timeout=60)
        message = raw if isinstance(raw, bytes) else json.loads(raw)
        if wanted(message):
            return message


def hung_up(ws):
    """Whether the server ends it, whatever it still says before."""
    try:
        while True:
            ws.recv(timeout=60)
    except ConnectionClosed:
        return True


def says(what):
    return lambda message: isinstance(message, dict) and message["is"] == what


# ---- HTTP


def test_the_link_puts_its_token_into_a_cookie_and_out_of_the_address(first):
    status, headers, _ = first.ask(f"/?t={first.token}", Cookie="")
    assert (status, headers["location"]) == (303, "/")
    assert headers["set-cookie"] == f"{first.cookie}; Path=/; HttpOnly; SameSite=Strict"
    status, headers, content = first.ask("/")
    assert status == 200
    assert b"<h1>Test</h1>" in content
    assert first.token.encode() not in content


def test_every_answer_forbids_what_the_page_does_not_need(first):
    for path in ("/", "/static/main.js", "/static/none.js"):
        _, headers, _ = first.ask(path)
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Cookie": ""}, 401),
        ({"Cookie": "bci_1=x"}, 401),
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1"}, 421),
        ({"Origin": "http://evil.example"}, 403),
    ],
)
def test_a_stranger_gets_nothing(first, headers, status):
    for path in ("/", "/static/main.js", "/stop"):
        assert first.ask(path, **headers)[0] == status


def test_a_wrong_token_in_the_link_is_refused_with_advice(first):
    status, _, content = first.ask("/?t=wrong", Cookie="")
    assert status == 401
    assert b"Open that link again" in content


@pytest.mark.parametrize(
    "path",
    [
        "/static/../process.py",
        "/static/..%2fprocess.py",
        "/static/%2e%2e/process.py",
        "/static//etc/passwd",
        "/static/index.html",
        "/static/",
        "/etc/passwd",
        "/static/page.css%00.js",
        "/..",
        "/live",
    ],
)
def test_no_path_reaches_another_file(first, path):
    assert first.ask(path)[0] in (400, 404)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "PATCH", "OPTIONS"])
def test_no_other_method_is_taken(first, method):
    assert first.ask("/", method, Origin=first.origin)[0] == 405


def test_the_page_is_served_on_this_computer_only(first):
    with socket.socket() as line:
        line.settimeout(2)
        own = socket.gethostbyname(socket.gethostname())
        if own.startswith("127."):
            pytest.skip("this computer has no other address")
        assert line.connect_ex((own, first.port)) != 0


# ---- WebSocket


@pytest.mark.parametrize(
    "wrong", [{"cookie": ""}, {"cookie": "bci=x"}, {"origin": "http://evil.example"}, {"origin": None}]
)
def test_the_socket_opens_to_our_own_page_alone(first, wrong):
    with pytest.raises(InvalidStatus) as refused:
        first.socket(**wrong)
    assert refused.value.response.status_code == 403


def test_a_name_pointed_here_does_not_open_the_socket(first):
    with pytest.raises(InvalidStatus), socket.create_connection((first.host, first.port)) as line:
        connect(
            f"ws://evil.example:{first.port}/live",
            sock=line,
            origin=f"http://evil.example:{first.port}",
            additional_headers={"Cookie": first.cookie},
            proxy=None,
        )


def test_values_on_the_wire_are_the_values_sent(page, first):
    feed = Feed(page)
    with first.socket() as ws:
        assert hear(ws, says("hello"))["channels"][7] == "C3"
        ws.send(json.dumps({"do": "view", "band": "none", "notch_hz": 0, "seconds": 5, "pixels": 500}))
        view = hear(ws, says("view"))
        assert (view["samples_per_column"], view["columns"]) == (10, 500)
        x = feed.noise(2.0)
        low = np.full((16, 200), np.nan)
        high = low.copy()
        seen = 0
        while seen < 200:
            data = hear(ws, lambda m: isinstance(m, bytes))
            n = int.from_bytes(data[8:12], "little")
            start = int(np.frombuffer(data, "<f8", 1, 16)[0])
            if start >= 200:
                continue  # of the signal before, which this view begins with
            values = np.frombuffer(data, "<f4", offset=32).reshape(2, 16, n)
            low[:, start : start + n], high[:, start : start + n] = values
            seen += n
    parts = x.reshape(16, 200, 10)
    np.testing.assert_array_equal(low, parts.min(axis=2).astype("f4"))
    np.testing.assert_array_equal(high, parts.max(axis=2).astype("f4"))


@pytest.mark.parametrize(
    "message",
    [
        "x" * 5000,
        "no json",
        "[]",
        "null",
        '{"do":"shell"}',
        '{"do":"view"}',
        '{"do":"view","pixels":1e9}',
        "\0",
    ],
)
def test_what_no_page_of_ours_says_ends_the_connection_and_nothing_else(page, first, message):
    with first.socket() as ws:
        hear(ws, says("hello"))
        ws.send(message)
        assert hung_up(ws)
    assert first.ask("/")[0] == 200
    assert page.actions() == []


def test_bytes_where_words_are_expected_end_the_connection(first):
    with first.socket() as ws:
        ws.send(b"\x00\x01")
        assert hung_up(ws)


def test_a_button_that_is_shown_acts_and_one_that_is_not_does_not(page, first):
    page.show(stage={"title": "x", "text": "", "buttons": [{"action": "pause", "label": "Pause"}]})
    with first.socket() as ws:
        hear(ws, lambda m: says("state")(m) and "stage" in m["state"])
        for name, taken in (("pause", True), ("arm", False), (["pause"], False)):
            ws.send(json.dumps({"do": "action", "name": name}))
            assert hear(ws, says("action"))["taken"] is taken
    got = []
    wait_until(lambda: got.extend(page.actions()) or got, "the action did not arrive")
    assert got == ["pause"]


def test_without_a_monitor_stop_is_an_action(page, first):
    with first.socket() as ws:
        ws.send(json.dumps({"do": "stop", "number": 3}))
        answer = hear(ws, says("stop"))
    assert answer == {"is": "stop", "number": 3, "taken": True, "by": "session"}
    wait_until(lambda: "stop" in page.actions(), "STOP did not arrive")


def test_stop_as_a_request_of_its_own(page, first):
    status, _, content = first.ask("/stop", "POST", Origin=first.origin)
    assert (status, json.loads(content)) == (200, {"taken": True, "by": "session"})
    wait_until(lambda: "stop" in page.actions(), "STOP did not arrive")
    assert first.ask("/stop", "POST")[0] == 403  # a form of another page sends no Origin of ours
    assert first.ask("/stop")[0] == 405


def test_a_stop_that_nobody_takes_is_told_and_handed_to_the_session(page, first):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        page.stop_address = f"127.0.0.1:{nobody.getsockname()[1]}"
    try:
        with first.socket() as ws:
            answer = {"taken": True}

            def refused():
                ws.send(json.dumps({"do": "stop", "number": 1}))
                answer.update(hear(ws, says("stop")))
                return answer["by"] == "monitor"

            wait_until(refused, "the new address did not arrive")
            assert answer["taken"] is False
        wait_until(lambda: "stop" in page.actions(), "STOP did not arrive")
    finally:
        page.stop_address = ""


def test_a_second_screen_sees_everything_and_does_nothing(page, first, second):
    assert second.port != first.port
    assert second.token != first.token
    assert second.ask("/", Cookie=f"bci_{second.port}={first.token}")[0] == 401
    page.show(stage={"title": "x", "buttons": [{"action": "arm", "label": "Arm"}]})
    page.actions()
    for message in ({"do": "stop", "number": 1}, {"do": "action", "name": "arm"}):
        with second.socket() as ws:
            assert hear(ws, says("hello"))["read_only"] is True
            hear(ws, lambda m: says("state")(m) and m["state"].get("stage"))
            ws.send(json.dumps(message))
            assert hung_up(ws)
    assert second.ask("/stop", "POST", Origin=second.origin)[0] == 403
    with first.socket() as ws:  # whatever the second screen said would have come before this
        page.show(stage={"title": "y", "buttons": [{"action": "last", "label": "Last"}]})
        hear(ws, lambda m: says("state")(m) and (m["state"].get("stage") or {}).get("title") == "y")
        ws.send(json.dumps({"do": "action", "name": "last"}))
        got = []
        wait_until(lambda: got.extend(page.actions()) or got, "the action did not arrive")
    assert got == ["last"]


def test_too_many_browsers_are_turned_away(first):
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            hear(stack.enter_context(first.socket()), says("hello"))
        with pytest.raises((InvalidStatus, ConnectionClosed)), first.socket() as ws:
            hear(ws, says("hello"))
