// A small list to choose from, made of plain elements. A browser's own <select> opens a window of the system that
// swallows Space and Esc while it is open, and these two keys are STOP and nothing else.
//
// Arrow keys change the value at once, Enter opens and closes the list, a click chooses.

import { make, setText } from "./words.js";

export class Choice {
  /** `options` are [value, words]; `changed()` is called after every change by a person. */
  constructor(box, changed) {
    this.box = box;
    this.changed = changed;
    this.options = [];
    this.value = "";
    this.button = make("button");
    this.button.type = "button";
    this.list = make("ul");
    this.list.id = `${box.id}-list`;
    this.list.hidden = true;
    this.list.setAttribute("role", "listbox");
    for (const [name, value] of Object.entries({ role: "combobox", "aria-haspopup": "listbox", "aria-expanded": "false" })) {
      this.button.setAttribute(name, value);
    }
    this.button.setAttribute("aria-controls", this.list.id);
    this.button.setAttribute("aria-labelledby", `${box.id}-label`);
    box.append(this.button, this.list);
    this.button.addEventListener("click", () => this.open(this.list.hidden));
    this.button.addEventListener("keydown", (event) => this.onKey(event));
    this.button.addEventListener("blur", () => this.open(false));
    // Not "click": the list would be closed by the blur before it came.
    this.list.addEventListener("pointerdown", (event) => {
      const item = event.target.closest("li");
      event.preventDefault();
      if (item) this.choose(item.dataset.value);
      this.open(false);
    });
  }

  fill(options, value) {
    this.options = options;
    this.list.replaceChildren(
      ...options.map(([each, words]) => {
        const item = make("li", "", words);
        item.id = `${this.list.id}-${options.findIndex(([v]) => v === each)}`;
        item.dataset.value = each;
        item.setAttribute("role", "option");
        return item;
      }),
    );
    this.show(options.some(([each]) => each === value) ? value : options[0][0]);
  }

  /** Words of what is chosen. */
  get words() {
    return this.options.find(([value]) => value === this.value)?.[1] ?? "";
  }

  show(value) {
    this.value = value;
    setText(this.button, this.words);
    for (const item of this.list.children) {
      const chosen = item.dataset.value === value;
      item.setAttribute("aria-selected", String(chosen));
      if (chosen) this.button.setAttribute("aria-activedescendant", item.id);
    }
  }

  choose(value) {
    if (value === this.value) return;
    this.show(value);
    this.changed();
  }

  open(open) {
    this.list.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
  }

  onKey(event) {
    const at = this.options.findIndex(([value]) => value === this.value);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: this.options.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.choose(this.options[Math.max(0, Math.min(this.options.length - 1, to))][0]);
  }
}
