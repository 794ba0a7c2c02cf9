// The page's words, and small helpers to build elements. Nothing here ever parses HTML.

const table = JSON.parse(document.getElementById("words").textContent);

/** The sentence in the user's language, with {names} filled in. */
export function t(sentence, values = {}) {
  const said = table[sentence] ?? sentence;
  return said.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** Put the user's words into every element that says something. */
export function translatePage(root = document) {
  for (const element of root.querySelectorAll("[data-say]")) {
    element.textContent = t(element.dataset.say);
  }
}

export const byId = (id) => document.getElementById(id);

/** An HTML element with a class and text. */
export function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== "") element.textContent = text;
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** An SVG element with attributes and children. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Change text only where it differs: what a screen reader has said it need not say again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Seconds as people say them: "45 s", "3 min 20 s". */
export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return t("{s} s", { s });
  return s % 60 && s < 600
    ? t("{m} min {s} s", { m: Math.floor(s / 60), s: s % 60 })
    : t("{m} min", { m: Math.round(s / 60) });
}
