"""The page in a real browser: it draws what was sent, STOP stops, it comes back, and keys are enough."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from bci.decisions import Intent
from bci.prosthesis import Certificate, Limits, Opening, Profile, SafetyMonitor
from tests.web.conftest import INFO, Feed, wait_until

READY = "window.bciPage && bciPage.link.connected && bciPage.sweep.view !== null"
SLOW = Profile(limits=Limits(rate_per_s=0.05), opening=Opening(delay_s=60.0, rate_per_s=0.05))


@pytest.fixture
def tab(browser, page):
    """A fresh tab at the page; fails if a script failed, or anything was asked of another address."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(60_000)
    wrong, asked = [], []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda line: wrong.append(line.text) if "Content Security" in line.text else None)
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("websocket", lambda ws: asked.append(ws.url))
    opened.goto(page.url)
    until(opened, READY)
    page.actions()
    yield opened
    context.close()
    assert wrong == []
    own = page.url.split("/")[2]
    assert {url.split("/")[2] for url in asked} == {own}


def until(tab, expression):
    """Until it is true in the page; a function and not text, which the page's own policy would not run."""
    tab.wait_for_function(f"() => {{ return {expression}; }}")


def pick(tab, box, value):
    tab.click(f"{box} button")
    tab.click(f"{box}-list [data-value='{value}']")
    assert tab.is_hidden(f"{box}-list")


def choose(tab, box, value):
    """Choose in a box, and wait for the picture that the server makes for it."""
    number = tab.evaluate("bciPage.sweep.view.number")
    pick(tab, box, value)
    until(tab, f"bciPage.sweep.view.number > {number}")


def actions_of(page, *expected):
    got = []
    wait_until(
        lambda: got.extend(page.actions()) or len(got) >= len(expected), f"{expected} never came: {got}"
    )
    assert got == list(expected)


def quiet(tab):
    """Everything pressed so far has been answered: what would still come has come."""
    until(tab, "bciPage.stop.presses.every((press) => press.taken !== null)")


# ---- what is drawn


def test_the_values_that_are_drawn_are_the_values_sent(tab, page):
    choose(tab, "#band", "none")
    feed = Feed(page)
    x = feed.noise(4.0)
    per, n = tab.evaluate("[bciPage.sweep.view.samples_per_column, bciPage.sweep.view.columns]")
    whole = 4000 // per
    until(tab, f"bciPage.sweep.newest === {whole - 1}")
    drawn = tab.evaluate(
        "['low', 'high'].map((which) => Array.from(bciPage.sweep[which], (v) => v === v ? v : null))"
    )
    low, high = (np.array(values, dtype=float).reshape(16, n)[:, :whole] for values in drawn)
    parts = x[:, : whole * per].reshape(16, whole, per)
    np.testing.assert_array_equal(low.astype("f4"), parts.min(axis=2).astype("f4"))
    np.testing.assert_array_equal(high.astype("f4"), parts.max(axis=2).astype("f4"))


def test_ink_stands_where_the_values_say(tab, page):
    choose(tab, "#band", "none")
    pick(tab, "#scale", "200")
    feed = Feed(page)
    t = np.arange(2000)
    x = np.zeros((16, 2000))
    x[3] = np.where(t % 400 < 200, 50.0, -50.0)  # a quarter of a lane up and down
    feed.send(x)
    per = tab.evaluate("bciPage.sweep.view.samples_per_column")
    until(tab, f"bciPage.sweep.newest === {2000 // per - 1} && !bciPage.sweep.waiting")
    rows = tab.evaluate(
        """() => {
          const {trace, view} = bciPage.sweep, {width, height} = trace;
          const lane = height / 16, dx = width / view.columns;
          const inked = (column) => {
            const x = Math.round((column + 0.5) * dx);
            const image = trace.getContext('2d').getImageData(x, Math.floor(3 * lane), 1, Math.ceil(lane)).data;
            const rows = [];
            for (let k = 0; k < Math.ceil(lane); k++) if (image[4 * k + 3] > 127) rows.push((k + 0.5) / lane);
            return rows;
          };
          const per = view.samples_per_column;
          return [inked(Math.floor(500 / per)), inked(Math.floor(700 / per))];
        }"""
    )
    assert [round(float(np.mean(r)), 1) for r in rows] == pytest.approx([0.2, 0.8], abs=0.11)


def test_every_filter_can_be_chosen_and_is_filled_at_once(tab, page):
    Feed(page).noise(4.0)
    for band in ("none", "8-30", "0.5-40"):
        for notch in ("50", "60", "0"):
            for box, value in (("band", band), ("notch", notch)):
                if tab.evaluate(f"bciPage.sweep.controls.{box}.value") != value:
                    choose(tab, f"#{box}", value)
            view = tab.evaluate("bciPage.sweep.view")
            assert (view["band"], view["notch_hz"]) == (band, int(notch))
            until(tab, "bciPage.sweep.newest > 100")  # nothing new was sent: it is the past, filtered


def test_a_signal_that_stays_away_is_told(tab, page):
    Feed(page).noise(0.5)
    until(tab, "document.querySelector('#mode').dataset.mode === 'live'")
    until(tab, "document.querySelector('#mode').dataset.mode === 'stale'")
    assert "No new signal" in tab.inner_text("#silence")


def test_a_signal_that_comes_is_not_called_stale_where_its_picture_is_hidden(tab, page):
    page.show(electrodes=electrodes())
    tab.click("#big")
    assert tab.is_hidden("#plot")
    until(tab, "document.querySelector('#mode').dataset.mode === 'stale'")
    Feed(page).send(np.zeros((16, 50)))  # a single column would take longer than this
    until(tab, "document.querySelector('#mode').dataset.mode === 'live'")
    tab.click("#big")
    assert tab.evaluate("bciPage.sweep.view.columns") > 100
    page.show(electrodes=None)


# ---- STOP


class Armed:
    """A monitor in real time whose simulated hand closes slowly while signal keeps coming."""

    def __init__(self, folder):
        certificate = Certificate(lower=0.6, chance=0.5, runs=2, issued_s=time.time())
        self.monitor = SafetyMonitor(SLOW, log_path=folder / "log.jsonl", certificate=certificate)
        self._n = 0
        self._started = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._feed)
        self._thread.start()

    def _feed(self):
        while not self._ended.wait(0.01):
            n = int((time.monotonic() - self._started) * 1000)
            self.monitor.signal(n, n * 1000)
            self._n = n  # an intent may rest on what the monitor was told, and on nothing newer

    def move(self):
        def armed():
            try:
                self.monitor.arm()
            except Exception:
                return False
            return True

        wait_until(armed, "it could not be armed")
        self.monitor.intent(Intent(1, "close", self._n, self._n + 500, 0.9))
        wait_until(lambda: self.monitor.state().mode == "moving", f"it does not move: {self.monitor.state()}")

    def close(self):
        self._ended.set()
        self._thread.join()
        self.monitor.close()


@pytest.fixture
def armed(tmp_path, page):
    made = Armed(tmp_path)
    page.stop_address = made.monitor.stop_address
    yield made
    page.stop_address = ""
    made.close()


@pytest.mark.parametrize(
    "way", ["click", "Space", "Escape", "Enter", "Space on another button", "Escape in a list"]
)
def test_stop_stops_the_hand(tab, page, armed, way):
    armed.move()
    page.show(hand={"mode": "moving", "position": [0.3] * 6, "contact": None, "cause": "", "stopped": False})
    page.show(stage={"title": "x", "buttons": [{"action": "pause", "label": f"not {way}"}]})
    # Once this test's own button is there, the server knows this test's monitor, too: it was told of it before.
    tab.wait_for_selector(f"#buttons button:text-is('not {way}')")
    if way == "click":
        tab.click("#stop")
    elif way == "Enter":
        tab.focus("#stop")
        tab.keyboard.press("Enter")
    elif way.endswith("button"):
        tab.focus("#buttons button")
        tab.keyboard.press("Space")
    elif way.endswith("list"):
        tab.focus("#band button")
        tab.keyboard.press("Enter")
        assert tab.is_visible("#band-list")
        tab.keyboard.press("Escape")
    else:
        tab.keyboard.press(way)
    quiet(tab)
    assert tab.evaluate("bciPage.stop.presses.map((p) => [p.taken, p.by])") == [[True, "monitor"]]
    wait_until(lambda: armed.monitor.state().stopped, "the hand was not stopped")
    assert armed.monitor.sync().mode == "hold"
    assert "the hand is held" in tab.inner_text("#stop")
    armed.close()
    assert '"source":"page"' in armed.monitor.log_path.read_text(encoding="utf-8")
    assert page.actions() == []  # neither did Space press the button, nor did the session have to be asked
    page.show(hand=None)


def test_a_space_bar_that_is_held_down_counts_once(tab, page):
    tab.keyboard.down("Space")
    for _ in range(20):
        tab.keyboard.down("Space")  # as the keyboard repeats it
    tab.keyboard.up("Space")
    quiet(tab)
    assert tab.evaluate("bciPage.stop.presses.length") == 1
    tab.keyboard.press("Space")
    quiet(tab)
    assert tab.evaluate("bciPage.stop.presses.length") == 2
    actions_of(page, "stop", "stop")


def test_a_stop_counts_although_the_release_of_the_one_before_never_came(tab, page):
    down = "dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', code: 'Escape'}))"
    tab.evaluate(f"() => {{ {down}; {down}; }}")
    quiet(tab)
    actions_of(page, "stop", "stop")


def test_stop_finds_another_way_when_the_socket_is_dead(tab, page):
    tab.evaluate("bciPage.link.send = () => true")  # says it was sent, and sends nothing
    tab.keyboard.press("Space")
    quiet(tab)
    assert tab.evaluate("bciPage.stop.presses[0].by") == "session"
    actions_of(page, "stop")


def test_a_stop_that_nobody_confirms_is_said_loudly(tab, page):
    tab.evaluate("() => { bciPage.link.send = () => true; fetch = () => Promise.reject(new Error('gone')); }")
    tab.keyboard.press("Escape")
    until(tab, "!document.querySelector('#alarm').hidden")
    until(tab, "document.querySelector('#alarm').textContent.includes('STOP was not confirmed')")


# ---- keys and buttons


def test_the_page_can_be_used_with_keys_alone(tab, page):
    page.show(
        stage={
            "title": "x",
            "buttons": [{"action": "next", "label": "Go on"}, {"action": "quit", "label": "End"}],
        }
    )
    tab.wait_for_selector("#buttons [data-action=next]")  # the buttons of another test may stand there still
    reached = []
    for _ in range(8):
        tab.keyboard.press("Tab")
        reached.append(
            tab.evaluate(
                """() => {
                  const e = document.activeElement;
                  const ring = getComputedStyle(e).outlineStyle !== 'none';
                  return [e.dataset.action || e.id || e.parentElement.id, ring];
                }"""
            )
        )
        if reached[-1][0] == "next":
            tab.keyboard.press("Enter")
    names = [name for name, _ in reached]
    assert names == ["big", "stop", "next", "quit", "band", "notch", "scale", "seconds"]
    assert all(ring for _, ring in reached)
    tab.focus("#seconds button")
    number = tab.evaluate("bciPage.sweep.view.number")
    tab.keyboard.press("ArrowDown")
    until(tab, f"bciPage.sweep.view.number > {number}")
    actions_of(page, "next")


def test_everything_has_a_name_for_a_screen_reader(tab, page):
    page.show(
        electrodes=electrodes(),
        hand={"mode": "armed", "position": [0.5] * 6, "contact": [True] * 6, "cause": ""},
    )
    tab.wait_for_selector("svg.head")
    nameless = tab.evaluate(
        """() => [...document.querySelectorAll('button, select, [role=img], progress')]
          .filter((e) => e.offsetParent !== null || e instanceof SVGElement)
          .filter((e) => !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length))
          .map((e) => e.outerHTML.slice(0, 80))"""
    )
    assert nameless == []
    assert tab.get_attribute("svg.head", "aria-label") == "14 good, 1 fair, 1 bad"
    page.show(electrodes=None, hand=None)


def electrodes():
    levels = ["good"] * 16
    levels[7], levels[13] = "bad", "fair"
    return [
        {
            "name": name,
            "level": level,
            "findings": [],
            "impedance_kohm": 12.0,
            "sentence": f"{name} is noisy.",
            "advice": f"Wet electrode {name} again.",
        }
        for name, level in zip(INFO.channels, levels, strict=True)
    ]


def test_levels_differ_by_shape_and_sign_too(tab, page):
    page.show(electrodes=electrodes())
    tab.wait_for_selector("svg.head")
    shapes = tab.evaluate(
        """() => [...document.querySelectorAll('svg.head .mark')].reduce((found, e) => {
          (found[e.tagName] ??= []).push(e.getAttribute('class'));
          return found;
        }, {})"""
    )
    assert {name: set(found) for name, found in shapes.items()} == {
        "circle": {"mark good"}, "path": {"mark fair"}, "rect": {"mark bad"}
    }  # fmt: skip
    advice = tab.locator("#advice li").all_inner_texts()
    assert advice[0] == "C3 is noisy. Wet electrode C3 again."
    page.show(electrodes=None)


def test_a_cue_beeps_once_and_counts_down(tab, page):
    page.show(cue={"word": "", "kind": "right", "phase": "rest", "left_s": 2.0, "beep": False})
    tab.wait_for_selector("#sound")
    tab.click("#sound")
    tab.click("#voice")
    heard = tab.evaluate("bciPage.cue.heard.length")
    for left in (4.0, 3.9, 3.8):
        page.show(cue={"word": "Right hand", "kind": "right", "phase": "cue", "left_s": left, "beep": True})
        until(tab, f"bciPage.state.cue?.left_s === {left}")
    assert tab.evaluate(f"bciPage.cue.heard.slice({heard})") == [["voice", "Right hand"], ["beep", 880]]
    assert tab.inner_text("#cue-word") == "Right hand"
    assert tab.inner_text("#cue-left") == "4 s"
    page.show(cue=None)
    tab.wait_for_selector("#cue", state="hidden")


# ---- losing each other


def test_a_connection_that_is_cut_comes_back_with_everything(tab, page):
    page.show(notes=["still here"])
    opened = tab.evaluate("bciPage.link.opened")
    tab.evaluate("bciPage.link.socket.close()")
    until(tab, f"bciPage.link.opened > {opened} && bciPage.link.connected")
    Feed(page).noise(2.0)
    until(tab, "bciPage.sweep.newest > 100")
    until(tab, "document.querySelector('#notes').textContent === 'still here'")
    page.show(notes=None)


def test_a_page_whose_server_dies_says_so_and_comes_back(tab, page):
    opened = tab.evaluate("bciPage.link.opened")
    page._process.kill()
    until(tab, "document.querySelector('#mode').dataset.mode === 'stale'")
    until(tab, "document.querySelector('#alarm').textContent.includes('connection is lost')")
    feed = Feed(page)

    def back():
        feed.send(np.zeros((16, 100)))
        return tab.evaluate(f"bciPage.link.opened > {opened} && bciPage.sweep.newest > 0")

    wait_until(back, "it did not come back", 60.0)
    until(tab, "document.querySelector('#alarm').hidden")
    wait_until(lambda: page.watchers == 1, "it is not counted")
