// STOP: one large button, Space and Esc, which do nothing else anywhere on this page.
//
// It goes over the open socket; if that does not answer at once, as a request of its own too. A second STOP does no
// harm, a lost one may. What cannot be confirmed is said loudly.

import { byId, setText, t } from "./words.js";

const SECOND_WAY_MS = 250;
const UNCONFIRMED_MS = 1500;
const KEYS = new Set([" ", "Spacebar", "Escape", "Esc"]);
const CODES = new Set(["Space", "Escape"]); // where an input method for Chinese has taken the key's name away

export class Stop {
  /** `alarm(text)` shows a sentence that must not be missed, "" takes it away. */
  constructor(link, alarm) {
    this.link = link;
    this.alarm = alarm;
    this.presses = []; // {number, at, taken, by, ms}
    this.allowed = true;
    this.button = byId("stop");
    this.hint = byId("stop-hint");
    addEventListener("keydown", (event) => this.onKey(event, true), { capture: true });
    addEventListener("keyup", (event) => this.onKey(event, false), { capture: true });
    addEventListener("blur", () => this.rest());
    addEventListener("focus", () => this.rest());
    this.rest();
    // Pressing down is enough: nobody who needs STOP should have to let go of the button first.
    this.button.addEventListener("pointerdown", (event) => {
      if (event.button === 0) this.press();
    });
    this.button.addEventListener("click", (event) => {
      if (event.detail === 0) this.press(); // Enter, or an assistive technology
    });
  }

  onKey(event, down) {
    if (!KEYS.has(event.key) && !CODES.has(event.code)) return;
    event.preventDefault(); // else Space would also press the button that has the focus, or scroll
    event.stopImmediatePropagation();
    // Whether it was let go of before does not count: a key's release may never reach this page.
    if (down && !event.repeat) this.press();
  }

  press() {
    if (!this.allowed) return;
    const press = { number: this.presses.length + 1, at: performance.timeOrigin + performance.now(), taken: null };
    this.presses.push(press);
    this.button.dataset.state = "sent";
    setText(this.hint, t("sent …"));
    if (!this.link.send({ do: "stop", number: press.number })) this.request(press);
    else setTimeout(() => press.taken === null && this.request(press), SECOND_WAY_MS);
    setTimeout(() => press.taken === null && this.failed(), UNCONFIRMED_MS);
  }

  async request(press) {
    try {
      const answer = await fetch("/stop", { method: "POST", signal: AbortSignal.timeout(UNCONFIRMED_MS) });
      if (answer.ok) this.confirm({ number: press.number, ...(await answer.json()) });
    } catch {
      if (press.taken === null) this.failed();
    }
  }

  /** The server's word about one press. */
  confirm({ number, taken, by }) {
    const press = this.presses[number - 1];
    if (!press || press.taken) return;
    press.taken = taken;
    press.by = by;
    press.ms = performance.timeOrigin + performance.now() - press.at;
    if (!taken) return this.failed();
    this.alarm("stop", "");
    this.button.dataset.state = "taken";
    setText(this.hint, by === "monitor" ? t("taken: the hand is held") : t("passed on"));
    clearTimeout(this.back);
    this.back = setTimeout(() => this.calm(), 4000);
  }

  /** Keys reach a page only while it has the focus; that is better known beforehand. */
  rest() {
    if (this.button.dataset.state) return;
    setText(this.hint, document.hasFocus() ? t("Space or Esc") : t("for keys, click the page"));
  }

  calm() {
    this.button.dataset.state = "";
    this.rest();
  }

  failed() {
    this.button.dataset.state = "failed";
    setText(this.hint, t("not confirmed"));
    this.alarm("stop", t("STOP was not confirmed. Use the hand's own switch, or the keyboard of the computer that runs it."));
  }

  /** A second screen has no STOP. */
  forbid() {
    this.allowed = false;
    this.button.hidden = true;
    byId("looking").hidden = false;
  }
}
