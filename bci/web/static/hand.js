// The hand as a picture: fingers shorten as they close, one that presses on something has a dark ring and a dot.

import { byId, setText, svg, t } from "./words.js";

// x of each finger and its length stretched, in the order thumb, index, middle, ring, little.
const FINGERS = [null, [92, 66], [70, 72], [48, 66], [26, 52]];
const unit = (x) => (x > 0 ? Math.min(1, x) : 0);

export class Hand {
  constructor() {
    this.fingers = [];
    this.picture = svg("svg", { viewBox: "12 18 140 160", role: "img", class: "drawn-hand" });
    this.picture.append(svg("rect", { class: "wrist", x: 42, y: 146, width: 52, height: 30, rx: 4 }));
    for (let i = 4; i >= 1; i--) this.fingers[i] = this.finger(FINGERS[i][0], this.picture);
    // The palm covers the roots of the fingers, the thumb lies over the palm.
    this.picture.append(svg("path", { class: "palm", d: "M25 92H111V130Q111 158 88 158H48Q25 158 25 130Z" }));
    this.turn = svg("g", {});
    this.picture.append(this.turn);
    this.fingers[0] = this.finger(100, this.turn);
    byId("hand-drawing").append(this.picture);
  }

  finger(x, parent) {
    const rect = svg("rect", { class: "finger", x, width: 18, rx: 9 });
    const dot = svg("circle", { class: "touch", cx: x + 9, r: 4.5 });
    parent.append(rect, dot);
    return { rect, dot };
  }

  show(hand) {
    const section = byId("hand");
    section.hidden = !hand?.position;
    if (!hand?.position) return;
    const names = [t("thumb"), t("index finger"), t("middle finger"), t("ring finger"), t("little finger")];
    const position = hand.position.map(unit);
    const contact = hand.contact ?? [];
    for (let i = 1; i <= 4; i++) {
      const shown = FINGERS[i][1] * (1 - 0.8 * position[i]);
      this.place(i, 94 - shown, shown + 10, contact[i]);
    }
    const thumb = 52 * (1 - 0.6 * position[0]);
    this.place(0, 136 - thumb, thumb, contact[0]);
    this.turn.setAttribute("transform", `rotate(${60 - 75 * (position[5] ?? 0)} 108 136)`);
    const closed = Math.round((100 * position.slice(0, 5).reduce((a, b) => a + b, 0)) / 5);
    const touching = names.filter((_, i) => contact[i]);
    const words = [closed < 3 ? t("open") : t("{n} % closed", { n: closed })];
    if (touching.length) words.push(t("touches: {fingers}", { fingers: touching.join(t(", ")) }));
    setText(byId("hand-words"), words.join(" · "));
    this.picture.setAttribute("aria-label", words.join(", "));
  }

  place(i, y, height, touches) {
    const { rect, dot } = this.fingers[i];
    rect.setAttribute("y", y.toFixed(1));
    rect.setAttribute("height", height.toFixed(1));
    rect.classList.toggle("touching", Boolean(touches));
    dot.setAttribute("cy", (y + 9).toFixed(1));
    dot.style.display = touches ? "" : "none";
  }
}
