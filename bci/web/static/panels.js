// The panels of words and numbers: state of the hand, link, stage with its buttons, decision, bands.

import { byId, duration, make, setText, svg, t } from "./words.js";

// Path of each state's mark in a square of 24, so that states differ by shape too.
const MARKS = {
  disarmed: "M12 4a8 8 0 1 0 0.01 0ZM12 7a5 5 0 1 1 -0.01 0Z",
  idle: "M12 4a8 8 0 1 0 0.01 0ZM12 7a5 5 0 1 1 -0.01 0Z",
  armed: "M12 4a8 8 0 1 0 0.01 0Z",
  moving: "M4 5L13 12L4 19ZM12 5L21 12L12 19Z",
  hold: "M6 4H10V20H6ZM14 4H18V20H14Z",
  fault: "M12 2L23 21H1ZM11 9V15H13V9ZM11 17V19H13V17Z",
  stale: "M5 3H19V5L14 12L19 19V21H5V19L10 12L5 5Z",
  live: "M3 13H8L10 6L14 19L16 13H21V11H15L14 14L10 2L7 11H3Z",
  ended: "M5 5H19V19H5Z",
};

function modeWord(mode) {
  const words = {
    disarmed: t("DISARMED"),
    idle: t("IDLE"),
    armed: t("ARMED"),
    moving: t("MOVING"),
    hold: t("HOLD"),
    fault: t("FAULT"),
    stale: t("STALE"),
    live: t("LIVE"),
    ended: t("ENDED"),
  };
  return words[mode] ?? String(mode).toUpperCase();
}

export function showMode(mode, cause) {
  const badge = byId("mode");
  if (badge.dataset.mode !== mode) {
    badge.dataset.mode = mode;
    const d = MARKS[mode] ?? MARKS.disarmed;
    badge.querySelector(".mark").replaceChildren(svg("svg", { viewBox: "0 0 24 24" }, svg("path", { d, "fill-rule": "evenodd" })));
  }
  setText(badge.querySelector("strong"), modeWord(mode));
  setText(badge.querySelector(".cause"), cause ?? "");
}

export function showLink(pulse, link) {
  if (!pulse) return;
  setText(byId("rate"), pulse.rate_hz ? `${pulse.rate_hz.toFixed(0)} Hz` : "–");
  setText(byId("lost"), String(link?.lost ?? pulse.lost ?? 0));
  const delay = link?.latency_ms ?? pulse.age_ms;
  setText(byId("delay"), delay === null || delay === undefined ? "–" : delay < 1000 ? `${delay.toFixed(0)} ms` : "> 1 s");
  byId("lost").parentElement.classList.toggle("warn", Number(link?.lost ?? pulse.lost ?? 0) > 0);
}

export function showStage(state, act, readOnly) {
  const { stage, progress, drift, notes } = state;
  const told = [stage?.title, stage?.text, progress, drift?.text, notes?.length].some(Boolean);
  byId("stage").hidden = !told;
  setText(byId("stage-title"), stage?.title ?? "");
  setText(byId("stage-text"), stage?.text ?? "");
  showButtons(readOnly ? [] : (stage?.buttons ?? []), act);
  byId("progress").hidden = !progress;
  if (progress) {
    const bar = byId("progress").querySelector("progress");
    bar.value = progress.total ? progress.done / progress.total : 0;
    const words = [progress.text || t("{done} of {total}", { done: progress.done, total: progress.total })];
    if (progress.left_s !== null && progress.left_s !== undefined) {
      words.push(t("{time} left", { time: duration(progress.left_s) }));
    }
    setText(byId("progress-text"), words.join(" · "));
    bar.setAttribute("aria-label", words.join(", "));
  }
  byId("drift").hidden = !drift?.text;
  byId("drift").dataset.level = drift?.level ?? "";
  setText(byId("drift"), drift?.text ?? "");
  byId("notes").hidden = !notes?.length;
  const texts = notes ?? [];
  const list = byId("notes");
  if (list.childElementCount !== texts.length || texts.some((x, k) => list.children[k].textContent !== x)) {
    list.replaceChildren(...texts.map((text) => make("li", "", text)));
  }
}

/** Buttons stay where they are while they mean the same, so that the focus stays, too. */
function showButtons(buttons, act) {
  const box = byId("buttons");
  const same =
    box.childElementCount === buttons.length && buttons.every((b, k) => box.children[k].dataset.action === b.action);
  if (!same) {
    box.replaceChildren(
      ...buttons.map(({ action }, k) => {
        const button = make("button", k === 0 ? "first" : "");
        button.type = "button";
        button.dataset.action = action;
        button.addEventListener("click", () => act(action));
        return button;
      }),
    );
  }
  buttons.forEach((b, k) => setText(box.children[k], b.label ?? b.action));
}

const classWord = (name) =>
  ({ rest: t("rest"), left: t("left hand"), right: t("right hand"), feet: t("feet"), both: t("both hands") })[name] ?? name;

export function showDecision(probabilities, threshold) {
  const classes = Object.entries(probabilities ?? {});
  byId("decision").hidden = !classes.length;
  if (!classes.length) return;
  const list = byId("bars");
  if (list.childElementCount !== classes.length || classes.some(([name], k) => list.children[k].dataset.name !== name)) {
    list.replaceChildren(
      ...classes.map(([name]) => {
        const row = make("li");
        row.dataset.name = name;
        const track = make("span", "track");
        track.append(make("span", "fill"), make("span", "line"));
        row.append(make("span", "name", classWord(name)), track, make("span", "value"));
        return row;
      }),
    );
  }
  classes.forEach(([name, p], k) => {
    const row = list.children[k];
    const share = Math.max(0, Math.min(1, p ?? 0));
    row.querySelector(".fill").style.transform = `scaleX(${share.toFixed(3)})`;
    setText(row.querySelector(".value"), p === null ? "–" : `${Math.round(100 * share)} %`);
    row.classList.toggle("over", Number.isFinite(threshold) && share >= threshold && name !== "rest");
    const line = row.querySelector(".line");
    line.style.display = Number.isFinite(threshold) && name !== "rest" ? "" : "none";
    line.style.left = `${100 * (threshold ?? 0)}%`;
  });
  setText(
    byId("threshold"),
    Number.isFinite(threshold) ? t("A decision counts from {n} % on.", { n: Math.round(100 * threshold) }) : "",
  );
}

const bandWord = (name) =>
  ({ delta: t("delta"), theta: t("theta"), alpha: t("alpha, mu"), beta: t("beta"), gamma: t("gamma") })[name] ?? name;

export function showBands(bands, channels) {
  const section = byId("bands");
  section.hidden = !bands?.names?.length || bands.rms_uv.length !== channels.length;
  if (section.hidden) return;
  const box = byId("band-cells");
  const names = bands.names;
  const cells = (names.length + 1) * (channels.length + 1);
  if (box.childElementCount !== cells) {
    box.style.setProperty("--bands", names.length);
    box.style.setProperty("--channels", channels.length);
    const made = [make("span", "corner"), ...names.map((name, b) => bandHead(name, bands.edges_hz[b]))];
    for (const channel of channels) {
      made.push(make("span", "channel", channel), ...names.map(() => make("span", "cell")));
    }
    box.replaceChildren(...made);
  }
  bands.rms_uv.forEach((row, c) =>
    row.forEach((uv, b) => {
      const cell = box.children[(c + 1) * (names.length + 1) + 1 + b];
      setText(cell, uv === null ? "–" : uv < 9.95 ? uv.toFixed(1) : uv < 1000 ? String(Math.round(uv)) : "999+");
      // From white at 1 µV to full colour at 50 µV, by octaves: ten µV of alpha stand out of two.
      const depth = uv > 1 ? Math.min(1, Math.log(uv) / Math.log(50)) : 0;
      cell.style.setProperty("--depth", depth.toFixed(2));
      cell.classList.toggle("deep", depth > 0.62);
    }),
  );
}

function bandHead(name, [low, high]) {
  const head = make("span", "band");
  head.append(make("b", "", bandWord(name)), " ", make("small", "", `${low}–${high} Hz`));
  return head;
}
