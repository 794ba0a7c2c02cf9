// Electrodes on a head seen from above: level by shape, sign, word and colour, so that no one of them must be seen.

import { byId, make, svg, t } from "./words.js";

const SIGNS = { good: "✓", fair: "!", bad: "✕" };
const ORDER = ["good", "fair", "bad"];
const MOST_ADVICE = 4;

export const levelWord = (level) =>
  ({ good: t("good"), fair: t("fair"), bad: t("bad") })[level] ?? t("not judged yet");

// Half of a square's side and of a diamond's diagonal, for a circle of radius 1: about as large, to the eye.
const SQUARE = 0.86;
const DIAMOND = 1.2;
// What two neighbours leave free between them, as a share of their radius.
const FREE = 0.1;
const LARGEST = 0.166;

/** A mark of one level, centred at 0, 0, as large as a circle of radius `r`. */
export function levelShape(level, r) {
  const common = { class: `mark ${level || "none"}` };
  if (level === "fair") {
    const d = DIAMOND * r;
    return svg("path", { ...common, d: `M0 ${-d}L${d} 0L0 ${d}L${-d} 0Z` });
  }
  if (level === "bad") {
    const a = SQUARE * r;
    return svg("rect", { ...common, x: -a, y: -a, width: 2 * a, height: 2 * a, rx: 0.12 * a });
  }
  return svg("circle", { ...common, r });
}

/** The radius at which no two marks touch, whatever their shapes: squares meet across, diamonds at their points. */
function radius(places) {
  let found = LARGEST;
  for (let i = 0; i < places.length; i++) {
    for (let j = 0; j < i; j++) {
      const [x, y] = [0, 1].map((k) => Math.abs(places[i][k] - places[j][k]));
      found = Math.min(
        found,
        Math.hypot(x, y) / (2 + FREE),
        Math.max(x, y) / (2 * SQUARE + FREE),
        (x + y) / (2 * DIAMOND + FREE),
      );
    }
  }
  return Math.max(0.05, found);
}

export class Head {
  constructor() {
    this.places = new Map();
  }

  begin(hello) {
    this.channels = hello.channels;
    this.places = new Map();
    let aside = 0;
    const unplaced = hello.places.filter((place) => place === null).length;
    hello.channels.forEach((name, k) => {
      const place = hello.places[k];
      // Electrodes whose name says no place stand in rows below the head.
      this.places.set(
        name,
        place
          ? [1.14 * place[0], -1.14 * place[1]]
          : [((aside % 8) - (Math.min(8, unplaced) - 1) / 2) * 0.3, 1.3 + 0.34 * Math.floor(aside++ / 8)],
      );
    });
    this.bottom = unplaced ? 1.5 + 0.34 * Math.floor((unplaced - 1) / 8) : 1.08;
    this.radius = radius([...this.places.values()]);
  }

  show(electrodes) {
    byId("electrodes").hidden = !electrodes?.length;
    if (!electrodes?.length) return;
    const counts = { good: 0, fair: 0, bad: 0 };
    for (const e of electrodes) counts[e.level] = (counts[e.level] ?? 0) + 1;
    const summary = ORDER.map((level) => `${counts[level]} ${levelWord(level)}`).join(", ");
    byId("head").replaceChildren(this.draw(electrodes, summary));
    byId("levels").replaceChildren(
      ...ORDER.map((level) => {
        const item = make("li");
        const icon = svg("svg", { viewBox: "-1.4 -1.4 2.8 2.8", "aria-hidden": "true" }, levelShape(level, 0.95));
        icon.append(svg("text", { y: 0.42, class: "sign" }, SIGNS[level]));
        item.append(icon, `${counts[level]} ${levelWord(level)}`);
        return item;
      }),
    );
    const wanting = [...electrodes].filter((e) => e.level !== "good");
    wanting.sort((a, b) => ORDER.indexOf(b.level) - ORDER.indexOf(a.level));
    const items = wanting.slice(0, MOST_ADVICE).map((e) => {
      const item = make("li");
      item.dataset.level = e.level;
      item.append(make("strong", "", e.sentence || `${e.name}: ${levelWord(e.level)}`));
      if (e.advice) item.append(" ", e.advice);
      return item;
    });
    if (wanting.length > MOST_ADVICE) {
      items.push(make("li", "more", t("and {n} more", { n: wanting.length - MOST_ADVICE })));
    }
    byId("advice").replaceChildren(...items);
  }

  draw(electrodes, summary) {
    const levels = new Map(electrodes.map((e) => [e.name, e]));
    const top = -1.22;
    const picture = svg("svg", {
      viewBox: `-1.26 ${top} 2.52 ${this.bottom - top}`,
      role: "img",
      "aria-label": summary,
      class: "head",
    });
    picture.append(
      svg("path", { class: "skin", d: "M-0.13 -0.99L0 -1.17L0.13 -0.99" }),
      svg("path", { class: "skin", d: "M-0.99 -0.16C-1.13 -0.2 -1.13 0.2 -0.99 0.16M0.99 -0.16C1.13 -0.2 1.13 0.2 0.99 0.16" }),
      svg("circle", { class: "skin", r: 1 }),
    );
    const r = this.radius;
    const signs = []; // above all marks: they lie on corners, where a neighbour may be near
    for (const [name, [x, y]] of this.places) {
      const electrode = levels.get(name);
      const level = electrode?.level ?? "";
      const kohm = electrode?.impedance_kohm;
      const tells = kohm !== null && kohm !== undefined && r > 0.1;
      const size = Math.min(0.72 * r, (2.6 * r) / Math.max(3, name.length));
      const mark = svg("g", { transform: `translate(${x} ${y})` }, levelShape(level, r));
      mark.append(
        svg("text", { class: "name", y: tells ? 0 : 0.36 * size, "font-size": size }, name),
      );
      if (tells) {
        const told = kohm >= 100 ? String(Math.round(kohm)) : kohm.toFixed(kohm < 10 ? 1 : 0);
        mark.append(svg("text", { class: "kohm", y: 0.62 * r, "font-size": 0.56 * r }, `${told}k`));
      }
      if (level && level !== "good") {
        const corner = (level === "fair" ? 0.95 : SQUARE) * r;
        signs.push(
          svg("circle", { class: `sign-back ${level}`, cx: x + corner, cy: y - corner, r: 0.36 * r }),
          svg("text", { class: "sign", x: x + corner, y: y - corner + 0.18 * r, "font-size": 0.52 * r }, SIGNS[level]),
        );
      }
      const words = [name, levelWord(level)];
      if (kohm !== null && kohm !== undefined) words.push(`${Math.round(kohm)} kΩ`);
      mark.append(svg("title", {}, words.join(", ")));
      picture.append(mark);
    }
    picture.append(...signs);
    return picture;
  }
}
