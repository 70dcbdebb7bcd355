// The predictions of this visit, and one of them next to the present one. Nothing is stored.

const KEPT = 20; // predictions in the list
const MOMENT = 2000; // ms within which a person is still typing
const DIFFERING = 60; // inputs that a comparison lists

class Visit {
  /** `load(row)` fills in the form. */
  constructor(form, answer, load) {
    this.form = form;
    this.answer = answer;
    this.load = load;
    this.entries = []; // {number, row, answer, at, isTyped}
    this.count = 0;
    this.base = null; // the entry that is compared
    byId("compare-end").onclick = () => this.compare(null);
    this.show();
  }

  /** Adds a prediction. While a person types, it replaces the last one. */
  add(answer, isTyped) {
    const row = this.form.snapshot;
    const at = Date.now();
    const last = this.entries.at(-1);
    const known = this.entries.find((entry) => same(entry.row, row));
    const isPassing = isTyped && last?.isTyped && at - last.at < MOMENT && last !== this.base;
    const entry = known ?? (isPassing ? last : { number: ++this.count });
    Object.assign(entry, { row, answer, at, isTyped: isTyped && !known });
    this.entries = [...this.entries.filter((each) => each !== entry), entry];
    if (this.entries.length > KEPT) this.entries.splice(this.entries[0] === this.base ? 1 : 0, 1);
    this.show();
  }

  show() {
    byId("history").hidden = this.entries.length < 2;
    byId("history-note").textContent = plural(this.entries.length, "prediction");
    byId("entries").replaceChildren(...this.entries.map((entry, index) => this.item(entry, this.entries[index - 1])).reverse());
    this.showComparison();
  }

  item(entry, before) {
    const text = this.answer.inShort(entry.answer);
    const load = el("button", { type: "button", class: "jump", "aria-label": `Fill in the inputs of number ${entry.number}: ${text}` }, `${entry.number}. `, bdi(text));
    load.onclick = () => this.load(entry.row);
    const compare = el("button", { type: "button", class: "plain", "aria-pressed": String(entry === this.base), "aria-label": `Compare number ${entry.number} with the latest one` }, "Compare");
    compare.onclick = () => this.compare(entry === this.base ? null : entry);
    return el("li", {}, load, el("span", { class: "hint" }, before ? this.changes(entry.row, before.row) : "the first inputs"), compare);
  }

  /** The first inputs that differ from those of the prediction before. */
  changes(row, before) {
    const names = this.differing(row, before);
    const some = names.slice(0, 2).flatMap((index, place) => [...(place ? [", "] : []), bdi(this.nameOf(index)), `: ${brief([asValue(row[index])])}`]);
    return el("span", {}, ...some, names.length > 2 ? ` and ${names.length - 2} more` : "");
  }

  differing(row, other) {
    return row.map((_, index) => index).filter((index) => row[index] !== other[index]);
  }

  nameOf(index) {
    return this.form.free ? "row" : this.form.fields[index].name;
  }

  // --- two predictions next to each other ---

  compare(entry) {
    this.base = entry;
    this.show();
    if (entry) byId("comparison").focus();
  }

  showComparison() {
    const { base } = this;
    const now = this.entries.filter((entry) => entry !== base).at(-1) ?? base;
    byId("comparison").hidden = !base;
    byId("compare-end").hidden = !base;
    if (!base) return;
    const names = this.differing(base.row, now.row);
    const lines = names.slice(0, DIFFERING).map((index) => [bdi(this.nameOf(index)), ...[base, now].map(({ row }) => asCell(asValue(row[index])))]);
    const answers = [base, now].map(({ answer }) => asCell(answer.prediction));
    const head = el("tr", {}, el("td", {}), el("th", { scope: "col" }, `Number ${base.number}`), el("th", { scope: "col" }, `Number ${now.number}`));
    const rows = [["Prediction", ...answers], ...probabilityLines(base.answer, now.answer), ...lines];
    byId("compared").replaceChildren(el("thead", {}, head), el("tbody", {}, ...rows.map(([name, ...cells]) => el("tr", {}, el("th", { scope: "row" }, name), ...cells.map((each) => el("td", {}, each))))));
    const equal = base.row.length - names.length;
    byId("equal").textContent = [names.length > DIFFERING && `The first ${DIFFERING} of ${names.length} inputs that differ.`, equal && `${plural(equal, "input")} ${equal === 1 ? "is" : "are"} equal.`].filter(Boolean).join(" ");
  }
}

const same = (row, other) => row.length === other.length && row.every((each, index) => each === other[index]);

/** A literal of the form as a value; a row that was typed stays a text. */
function asValue(literal) {
  try {
    return parse(literal);
  } catch {
    return literal;
  }
}

const asCell = (each) => bdi((Array.isArray(each) ? each.flat().slice(0, VALUES).map(shown).join(", ") : shown(each)) || "–");

/** The probabilities of the classes that are likely in one of the two. */
function probabilityLines({ probabilities: before }, { probabilities: after }) {
  if (!before || !after || Array.isArray(before)) return [];
  const labels = Object.keys(after).sort((one, other) => Math.max(after[other], before[other]) - Math.max(after[one], before[one]));
  return labels.slice(0, CHANCES).map((label) => [el("span", {}, "Probability of ", bdi(label)), ...[before, after].map((each) => (each[label] === null ? "–" : percent(each[label])))]);
}
