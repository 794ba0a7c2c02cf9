// Puts the parts together: what comes over the link goes to the panel it belongs to.

import { Cue } from "./cue.js";
import { Hand } from "./hand.js";
import { Head } from "./head.js";
import { Link } from "./link.js";
import { showBands, showDecision, showLink, showMode, showStage } from "./panels.js";
import { Stop } from "./stop.js";
import { Sweep } from "./sweep.js";
import { byId, setText, t, translatePage } from "./words.js";

const SILENT_S = 1.0; // without a new sample: the signal is stale

translatePage();
const state = {};
const alarms = new Map();
let pulse = null;
let pulseAt = 0;
let hello = null;
let frames = 0;

const link = new Link(hear, () => look());
const sweep = new Sweep((view) => link.send(view));
const head = new Head();
const hand = new Hand();
const cue = new Cue();
const stop = new Stop(link, alarm);

function hear(message) {
  if (message instanceof ArrayBuffer) {
    frames += 1;
    sweep.takeFrame(message);
    return;
  }
  if (message.is === "hello") begin(message);
  else if (message.is === "view") sweep.take(message);
  else if (message.is === "state") change(message.state);
  else if (message.is === "pulse") {
    pulse = message;
    pulseAt = performance.now();
    showLink(pulse, state.link);
  } else if (message.is === "stop") stop.confirm(message);
  look();
}

function begin(message) {
  hello = message;
  pulse = null;
  setText(byId("device"), [hello.device, t("{n} channels", { n: hello.channels.length })].filter(Boolean).join(" · "));
  if (hello.read_only) stop.forbid();
  for (const key of Object.keys(state)) delete state[key]; // the server tells everything anew
  head.begin(hello);
  sweep.start(hello);
}

function change(news) {
  Object.assign(state, news);
  if ("electrodes" in news) {
    head.show(state.electrodes);
    sweep.mark(state.electrodes ?? []);
  }
  if ("probabilities" in news || "threshold" in news) showDecision(state.probabilities, state.threshold);
  if ("hand" in news) hand.show(state.hand);
  if ("cue" in news) cue.show(state.cue);
  if ("bands" in news) showBands(state.bands, hello.channels);
  if ("link" in news) showLink(pulse, state.link);
  if (["stage", "progress", "drift", "notes"].some((key) => key in news)) {
    showStage(state, (action) => link.send({ do: "action", name: action }), hello.read_only);
  }
}

/** Seconds since the newest sample reached the server; null before the first. */
function silentFor() {
  const age = pulse?.age_ms ?? null;
  return age === null ? null : (age + performance.now() - pulseAt) / 1000;
}

/** Is what we see still true? Four times a second, and whenever something came. */
function look() {
  const silent = silentFor();
  const stale = silent === null || silent > SILENT_S;
  if (link.ended) {
    showMode("ended", t("The session has ended."));
    alarm("link", "");
  } else if (!link.connected) {
    showMode("stale", t("no connection"));
    if (hello) alarm("link", t("The connection is lost: this picture stands still. Trying again …"));
  } else {
    alarm("link", "");
    const mode = state.hand?.mode;
    if (stale && mode !== "fault" && mode !== "hold") showMode("stale", t("no new signal"));
    else if (mode) showMode(mode, state.hand.cause);
    else showMode("live", "");
  }
  const silence = byId("silence");
  silence.hidden = link.ended || (!stale && link.connected);
  setText(
    silence,
    !link.connected
      ? t("No connection")
      : silent === null
        ? t("Waiting for the signal …")
        : t("No new signal for {s} s", { s: Math.floor(silent) }),
  );
  document.body.classList.toggle("stale", stale || !link.connected);
}

/** Sentences that must not be missed, one for each cause; "" takes one away. */
function alarm(cause, text) {
  if ((alarms.get(cause) ?? "") === text) return;
  if (text) alarms.set(cause, text);
  else alarms.delete(cause);
  const box = byId("alarm");
  box.hidden = alarms.size === 0;
  setText(box, [...alarms.values()].join(" "));
}

byId("big").addEventListener("click", () => {
  const on = document.documentElement.classList.toggle("big");
  byId("big").setAttribute("aria-pressed", String(on));
  sweep.resize();
});

function everyPicture() {
  cue.tick();
  requestAnimationFrame(everyPicture);
}
requestAnimationFrame(everyPicture);
setInterval(look, 250);

/** What the page shows, for tests and for the curious: the very arrays that are drawn. */
window.bciPage = {
  state,
  sweep,
  stop,
  cue,
  link,
  get frames() {
    return frames;
  },
};
