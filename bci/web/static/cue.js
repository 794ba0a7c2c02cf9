// What the wearer is asked for: a shape and a word that can be read from two metres, a countdown, beeps and a voice.

import { byId, setText, svg, t } from "./words.js";

const SHAPES = {
  left: "M-70 0L0 -62V-26H70V26H0V62Z",
  right: "M70 0L0 -62V-26H-70V26H0V62Z",
  feet: "M0 70L-62 0H-26V-70H26V0H62Z",
  tongue: "M0 -70L-62 0H-26V70H26V0H62Z",
  both: "M-78 0L-28 -50V-20H28V-50L78 0L28 50V20H-28V50Z",
  rest: "M-60 -14H60V14H-60Z",
  other: "M0 -58A58 58 0 1 1 -0.1 -58Z",
  cross: "M-8 -60H8V-8H60V8H8V60H-8V8H-60V-8H-8Z",
};

function shapeOf(kind, phase) {
  if (phase === "rest") return "cross";
  const name = String(kind ?? "").toLowerCase();
  return Object.keys(SHAPES).find((shape) => name.includes(shape)) ?? "other";
}

export class Cue {
  constructor() {
    this.section = byId("cue");
    this.path = svg("path", {});
    this.ring = svg("circle", { class: "ring", r: 92, pathLength: 100 });
    const picture = svg("svg", { viewBox: "-100 -100 200 200" });
    picture.append(svg("circle", { class: "track", r: 92 }), this.ring, this.path);
    byId("cue-shape").append(picture);
    this.sound = this.toggle("sound");
    this.voice = this.toggle("voice");
    this.audio = null;
    this.cue = null;
    this.heard = []; // what was played, for those who cannot hear: tests
  }

  toggle(id) {
    const button = byId(id);
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      if (id === "sound" && on) this.beep(880, 0.08); // browsers let a page sound only after a click, so begin here
    });
    return button;
  }

  isOn(button) {
    return button.getAttribute("aria-pressed") === "true";
  }

  show(cue) {
    const before = this.cue;
    this.cue = cue ?? null;
    this.section.hidden = !cue;
    byId("sound").hidden = byId("voice").hidden = !cue;
    document.body.classList.toggle("cued", Boolean(cue));
    if (!cue) return;
    const begins = !before || before.phase !== cue.phase || before.word !== cue.word;
    this.until = performance.now() + 1000 * (cue.left_s ?? 0);
    if (begins) {
      this.span = Math.max(0.001, cue.left_s ?? 0);
      this.section.dataset.phase = cue.phase ?? "";
      const quiet = cue.phase === "rest" || cue.phase === "pause";
      this.path.setAttribute("d", cue.phase === "pause" ? "" : SHAPES[shapeOf(cue.kind, cue.phase)]);
      setText(byId("cue-word"), cue.word ?? "");
      if (!quiet && cue.word && this.isOn(this.voice)) this.speak(cue.word);
    }
    // One beep for each new cue that asks for one.
    const asked = Boolean(cue.beep) && (begins || !before?.beep);
    if (asked && this.isOn(this.sound)) this.beep(cue.phase === "rest" ? 660 : 880, 0.12);
    this.tick();
  }

  /** Called with every picture that is drawn. */
  tick() {
    if (!this.cue) return;
    const left = Math.max(0, (this.until - performance.now()) / 1000);
    const share = Math.max(0, Math.min(1, left / this.span));
    this.ring.setAttribute("stroke-dasharray", `${(100 * share).toFixed(1)} 100`);
    setText(byId("cue-left"), this.cue.left_s ? t("{s} s", { s: Math.ceil(left) }) : "");
  }

  beep(frequency, seconds) {
    this.heard.push(["beep", frequency]);
    this.audio ??= new AudioContext();
    this.audio.resume();
    const tone = this.audio.createOscillator();
    const gain = this.audio.createGain();
    const now = this.audio.currentTime;
    tone.frequency.value = frequency;
    gain.gain.setValueAtTime(0, now);
    gain.gain.linearRampToValueAtTime(0.25, now + 0.01);
    gain.gain.setValueAtTime(0.25, now + seconds - 0.02);
    gain.gain.linearRampToValueAtTime(0, now + seconds);
    tone.connect(gain).connect(this.audio.destination);
    tone.start(now);
    tone.stop(now + seconds);
  }

  /** Only with a voice that lies on this computer: words of a session are not sent to anybody. */
  speak(word) {
    this.heard.push(["voice", word]);
    const language = document.documentElement.lang.slice(0, 2);
    const voice = window.speechSynthesis
      ?.getVoices()
      .find((each) => each.localService && each.lang.startsWith(language));
    if (!voice) return;
    const said = new SpeechSynthesisUtterance(word);
    said.voice = voice;
    said.lang = voice.lang;
    speechSynthesis.cancel();
    speechSynthesis.speak(said);
  }
}
