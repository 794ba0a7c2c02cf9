// The moving picture of all channels. The server sends one minimum and one maximum per column; here they become lines.
//
// Column k of the signal always stands at k modulo the number of columns, so new signal runs over old from left to
// right. `low` and `high` hold exactly what is drawn.

import { Choice } from "./choice.js";
import { byId, make, setText, t } from "./words.js";

const INK = "#17364f";
const LOST = "#e3e7ea";
const AHEAD_PX = 14; // the blank in front of the newest column, CSS pixels

export class Sweep {
  /** `ask(view)` asks the server for another picture. */
  constructor(ask) {
    this.ask = ask;
    this.plot = byId("plot");
    this.grid = byId("grid");
    this.trace = byId("trace");
    this.channels = [];
    this.view = null;
    this.low = this.high = new Float32Array(0);
    this.newest = -1; // column
    this.begin = 0;
    this.undrawn = -1; // first column that is not drawn yet
    this.waiting = false;
    this.controls = {};
    for (const name of ["band", "notch", "seconds"]) {
      this.controls[name] = new Choice(byId(name), () => this.request());
    }
    this.controls.scale = new Choice(byId("scale"), () => {
      this.keep();
      this.tell();
      this.redraw();
    });
    this.remember();
    new ResizeObserver(() => this.resize()).observe(this.plot);
  }

  // ---- what is chosen

  remember() {
    let kept = {};
    try {
      kept = JSON.parse(sessionStorage.getItem("view") ?? "{}");
    } catch {
      kept = {};
    }
    this.kept = { band: "0.5-40", notch: "0", seconds: "10", scale: "100", ...kept };
    const { band, notch, scale } = this.controls;
    band.fill([["none", t("none")], ["0.5-40", "0.5–40 Hz"], ["8-30", "8–30 Hz"]], this.kept.band);
    notch.fill([["0", t("left in")], ["50", t("50 Hz out")], ["60", t("60 Hz out")]], this.kept.notch);
    const scales = [20, 50, 100, 200, 500].map((uv) => [String(uv), `${uv} µV`]);
    scale.fill([...scales, ["1000", "1 mV"], ["10000", "10 mV"]], this.kept.scale);
  }

  keep() {
    for (const name in this.controls) this.kept[name] = this.controls[name].value;
    sessionStorage.setItem("view", JSON.stringify(this.kept));
  }

  start(hello) {
    this.channels = hello.channels;
    this.controls.seconds.fill(
      hello.seconds.map((s) => [String(s), t("{s} s", { s })]),
      this.kept.seconds,
    );
    const lanes = byId("lanes");
    lanes.replaceChildren(...this.channels.map((name) => make("li", "", name)));
    const least = this.channels.length * 15;
    this.plot.style.minHeight = `${least}px`;
    this.resize();
    this.request();
  }

  request() {
    this.keep();
    const pixels = Math.max(1, Math.min(4000, this.trace.width));
    this.pixels = pixels;
    this.ask({
      do: "view",
      band: this.kept.band,
      notch_hz: Number(this.kept.notch),
      seconds: Number(this.kept.seconds || 10),
      pixels,
    });
  }

  // ---- what comes

  take(view) {
    this.view = view;
    this.low = new Float32Array(this.channels.length * view.columns).fill(NaN);
    this.high = this.low.slice();
    this.centre = new Float64Array(this.channels.length);
    this.newest = -1;
    this.begin = 0;
    this.undrawn = -1;
    this.redraw();
    this.drawGrid();
    this.tell();
  }

  tell() {
    if (!this.view) return;
    const words = t("One lane is {scale} high, the picture {seconds} s wide; {n} samples make one column.", {
      scale: this.controls.scale.words,
      seconds: this.view.seconds,
      n: this.view.samples_per_column,
    });
    setText(byId("legend"), words);
    this.plot.setAttribute("aria-label", words);
  }

  takeFrame(buffer) {
    const head = new DataView(buffer);
    const channels = head.getUint16(2, true);
    const number = head.getUint32(4, true);
    const columns = head.getUint32(8, true);
    const first = head.getFloat64(16, true);
    if (!this.view || number !== this.view.number || channels !== this.channels.length) return;
    const n = this.view.columns;
    const size = channels * columns;
    const low = new Float32Array(buffer, 32, size);
    const high = new Float32Array(buffer, 32 + 4 * size, size);
    for (let c = 0; c < channels; c++) {
      for (let k = 0; k < columns; k++) {
        const at = c * n + ((first + k) % n);
        this.low[at] = low[c * columns + k];
        this.high[at] = high[c * columns + k];
      }
    }
    if (this.newest < 0) {
      this.begin = first;
      this.findCentres();
    }
    this.newest = first + columns - 1;
    if (this.undrawn < 0) this.undrawn = first;
    if (!this.waiting) {
      this.waiting = true;
      requestAnimationFrame(() => this.drawPending());
    }
  }

  /** Unfiltered signal lies on the electrode's own voltage; each lane is centred on what it shows. */
  findCentres() {
    const n = this.view.columns;
    for (let c = 0; c < this.channels.length; c++) {
      let sum = 0;
      let count = 0;
      if (this.view.band === "none") {
        for (let k = c * n; k < (c + 1) * n; k++) {
          const middle = (this.low[k] + this.high[k]) / 2;
          if (middle === middle) {
            sum += middle;
            count += 1;
          }
        }
      }
      this.centre[c] = count ? sum / count : 0;
    }
  }

  // ---- drawing

  resize() {
    if (!this.plot.clientWidth) return; // hidden: it will be shown as it was
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(this.plot.clientWidth * ratio));
    const height = Math.max(1, Math.round(this.plot.clientHeight * ratio));
    if (this.trace.width === width && this.trace.height === height) return;
    for (const canvas of [this.grid, this.trace]) {
      canvas.width = width;
      canvas.height = height;
    }
    this.drawGrid();
    this.redraw();
    const lane = this.plot.clientHeight / Math.max(1, this.channels.length);
    const every = Math.max(1, Math.ceil(13 / lane));
    [...byId("lanes").children].forEach((li, k) => li.classList.toggle("unnamed", k % every !== 0));
    if (this.view && Math.abs(width - this.pixels) > 0) {
      clearTimeout(this.later); // a window being dragged asks once, at the end
      this.later = setTimeout(() => this.request(), 200);
    }
  }

  drawGrid() {
    const { width, height } = this.grid;
    const context = this.grid.getContext("2d");
    context.clearRect(0, 0, width, height);
    const n = this.channels.length;
    const ratio = window.devicePixelRatio || 1;
    context.strokeStyle = "#edf1f4";
    context.lineWidth = ratio;
    context.beginPath();
    for (let c = 0; c < n; c++) {
      const y = Math.round(((c + 0.5) * height) / n) + 0.5;
      context.moveTo(0, y);
      context.lineTo(width, y);
    }
    context.stroke();
    const seconds = this.view ? this.view.seconds : 10;
    const step = seconds > 10 ? 5 : 1;
    context.strokeStyle = "#d8e0e6";
    context.beginPath();
    for (let s = step; s < seconds; s += step) {
      const x = Math.round((s * width) / seconds) + 0.5;
      context.moveTo(x, 0);
      context.lineTo(x, height);
    }
    context.stroke();
  }

  redraw() {
    const context = this.trace.getContext("2d");
    context.clearRect(0, 0, this.trace.width, this.trace.height);
    if (!this.view || this.newest < 0) return;
    const first = Math.max(this.begin, this.newest - this.view.columns + 1);
    this.undrawn = -1;
    this.draw(first, this.newest - first + 1);
  }

  drawPending() {
    this.waiting = false;
    const undrawn = this.undrawn;
    this.undrawn = -1;
    if (!this.view || undrawn < 0) return;
    const first = Math.max(undrawn, this.newest - this.view.columns + 1);
    this.draw(first, this.newest - first + 1);
  }

  /** Columns `first` … `first + count - 1`, at most one picture full. */
  draw(first, count) {
    const n = this.view.columns;
    const at = first % n;
    const part = Math.min(count, n - at);
    this.drawPart(first, at, part);
    if (count > part) {
      this.findCentres();
      this.drawPart(first + part, 0, count - part);
    }
  }

  drawPart(first, at, count) {
    const context = this.trace.getContext("2d");
    const { width, height } = this.trace;
    const ratio = window.devicePixelRatio || 1;
    const n = this.view.columns;
    const lanes = this.channels.length;
    const lane = height / lanes;
    const dx = width / n;
    const scale = lane / Number(this.controls.scale.value);
    const left = Math.floor(at * dx);
    const right = Math.ceil((at + count) * dx);
    context.clearRect(left, 0, right - left + AHEAD_PX * ratio, height);
    context.lineWidth = ratio * (lane > 24 * ratio ? 1.25 : 1);
    context.strokeStyle = INK;
    context.lineJoin = "round";
    // The line starts at the column before, so that pieces join without a gap.
    const from = at > 0 && first - 1 >= this.begin ? at - 1 : at;
    for (let c = 0; c < lanes; c++) {
      const middle = (c + 0.5) * lane;
      const reach = 0.75 * lane;
      const y = (value) => middle - Math.max(-reach, Math.min(reach, (value - this.centre[c]) * scale));
      context.beginPath();
      let drawing = false;
      for (let k = from; k < at + count; k++) {
        const low = this.low[c * n + k];
        const high = this.high[c * n + k];
        if (low !== low) {
          drawing = false;
          if (c === 0 && k >= at) {
            context.fillStyle = LOST;
            context.fillRect(Math.floor(k * dx), 0, Math.ceil(dx), height);
          }
          continue;
        }
        const x = (k + 0.5) * dx;
        if (drawing) context.lineTo(x, y(high));
        else context.moveTo(x, y(high));
        context.lineTo(x, y(low));
        drawing = true;
      }
      context.stroke();
    }
  }

  /** The level of each electrode beside its lane. */
  mark(electrodes) {
    const levels = new Map(electrodes.map((e) => [e.name, e.level]));
    [...byId("lanes").children].forEach((li, k) => {
      li.dataset.level = levels.get(this.channels[k]) ?? "";
    });
  }
}
