// A text of many lines, of which only those in sight are elements.

const LINE = 20;
const BEYOND = 12; // lines kept above and below what is in sight

class Rows {
  /**
   * options: label; count; html(i); classes(i), a string; choose(i); number(i), the text of the gutter;
   * width, the longest line in characters.
   */
  constructor(options) {
    this.sheet = h("div", { class: "sheet" });
    this.element = h(
      "div",
      { class: "rows", role: "listbox", tabindex: "0", "aria-label": options.label },
      this.sheet,
    );
    this.id = `rows${Rows.made++}`;
    this.active = -1;
    this.element.addEventListener("scroll", () => this.draw(), { passive: true });
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.element.addEventListener("click", (event) => {
      const row = event.target.closest("[data-row]");
      if (row && !String(getSelection())) this.press(Number(row.dataset.row));
    });
    new ResizeObserver(() => this.draw()).observe(this.element);
    this.show(options);
  }

  /** Show another text, from its start. */
  show(options) {
    this.options = { classes: () => "", number: (i) => String(i + 1), choose: () => {}, ...options };
    this.element.setAttribute("aria-label", options.label);
    this.sheet.style.height = `${options.count * LINE}px`;
    this.sheet.style.minWidth = `calc(${(options.width || 80) + 8}ch + 2rem)`;
    this.active = -1;
    this.element.scrollTop = 0;
    this.draw(true);
  }

  draw(anew = false) {
    const { count, html, classes, number } = this.options;
    const first = Math.max(0, Math.floor(this.element.scrollTop / LINE) - BEYOND);
    const last = Math.min(count, Math.ceil((this.element.scrollTop + this.element.clientHeight) / LINE) + BEYOND);
    if (!anew && first === this.first && last === this.end) return;
    this.first = first;
    this.end = last;
    let text = "";
    for (let i = first; i < last; i++) {
      const active = i === this.active;
      text +=
        `<div class="row ${classes(i)}${active ? " active" : ""}" role="option" id="${this.id}-${i}" data-row="${i}"` +
        ` aria-selected="${/focus|hit/.test(classes(i))}" aria-setsize="${count}" aria-posinset="${i + 1}"` +
        ` style="top:${i * LINE}px"><span class="gutter" aria-hidden="true">${number(i)}</span>${html(i)}</div>`;
    }
    this.sheet.innerHTML = text;
    if (this.active >= 0) this.element.setAttribute("aria-activedescendant", `${this.id}-${this.active}`);
    else this.element.removeAttribute("aria-activedescendant");
  }

  /** Bring a line into sight, into the middle where it is out of it. */
  reveal(i) {
    const top = i * LINE;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop + LINE || top > scrollTop + clientHeight - 2 * LINE)
      this.element.scrollTop = Math.max(0, top - clientHeight / 3);
    this.draw(true);
  }

  press(i) {
    this.active = i;
    this.options.choose(i);
    this.draw(true);
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.element.clientHeight / LINE) - 2);
    const from = this.active < 0 ? Math.floor(this.element.scrollTop / LINE) - 1 : this.active;
    const to = {
      ArrowDown: from + 1,
      ArrowUp: from - 1,
      PageDown: from + page,
      PageUp: from - page,
      Home: 0,
      End: this.options.count - 1,
    }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (to !== undefined) {
      this.active = Math.max(0, Math.min(this.options.count - 1, to));
      this.reveal(this.active);
      event.preventDefault();
    } else if ((event.key === "Enter" || event.key === " ") && this.active >= 0) {
      this.press(this.active);
      event.preventDefault();
    }
  }
}
Rows.made = 0;

/** A pane: a heading, what stands beside it, and a text. */
function pane(title, tools, rows) {
  return h("section", { class: "pane", "aria-label": title }, h("div", { class: "bar-top" }, h("h2", {}, title), tools), rows.element);
}
