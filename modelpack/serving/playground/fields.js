// The form: a control for each input. `row` holds what is sent, a JSON text an input; controls are
// made when they are first shown, since a model may have thousands of inputs.

const PAGE = 60;
const LIST = 1000; // categories in a drop-down; of more, some are proposed while one types

const TYPES = { number: "number", integer: "whole number", string: "text", boolean: "yes or no", datetime: "date and time", any: "number, text, true or false" };

class Form {
  constructor(signature) {
    this.signature = signature;
    this.fields = signature.inputs;
    this.sparse = signature.layout === "dicts";
    this.row = this.fields.map(first);
    this.made = [];
    this.wrong = new Map();
    this.touched = new Set(); // by a person
    this.most = PAGE;
    this.free = this.fields.length ? null : this.freeRow();
    byId("inputs-note").textContent = this.fields.length ? plural(this.fields.length, "value") : "";
    byId("filter-box").hidden = this.fields.length <= PAGE;
    byId("filter").oninput = () => this.find();
    byId("more").onclick = () => this.showMore();
    this.show();
  }

  /** A model whose file does not list its inputs: a row as JSON. */
  freeRow() {
    const hint = el("p", { class: "hint", id: "free-hint" }, "The model file does not list its inputs. Write one row: numbers and texts with commas between them.");
    const area = el("textarea", { id: "free", rows: 4, spellcheck: "false", placeholder: "0.5, 1, 2.25", "aria-describedby": "free-hint free-error" });
    const error = el("p", { class: "error", id: "free-error" });
    byId("fields").replaceChildren(el("div", { class: "field wide" }, el("label", { for: "free" }, "A row"), hint, area, error));
    return { area, error };
  }

  /** The row as JSON, null where it cannot be told. */
  literal(gap = "", row = this.row) {
    if (this.free) return freeLiteral(this.free.area.value);
    const sent = this.fields.map((field, index) => [field.name, row[index]]);
    if (!this.signature.named) return list(sent.map(([, value]) => value), gap);
    const named = this.sparse ? sent.filter(([, value]) => value !== "null") : sent;
    return record(named, gap);
  }

  change(index, literal) {
    this.row[index] = literal;
    this.touched.add(index);
  }

  /** The place of a number that is none yet, as "-". */
  get unfinished() {
    return this.row.indexOf("");
  }

  /** Whether nothing is left that a person has yet to fill in. */
  get isWhole() {
    const isOpen = ({ nullable }, index) => this.row[index] === "null" && !nullable && !this.touched.has(index);
    return this.unfinished < 0 && Boolean(this.literal()) && !this.fields.some(isOpen);
  }

  set(index, literal) {
    this.row[index] = literal;
    this.made[index]?.fill(literal);
  }

  reset() {
    this.touched.clear();
    this.fields.forEach((field, index) => this.set(index, first(field)));
  }

  /** Fills in a row of values. */
  load(values) {
    values.forEach((value, index) => this.set(index, json(value)));
  }

  /** What is filled in, and comes back by `restore`. */
  get snapshot() {
    return this.free ? [this.free.area.value] : [...this.row];
  }

  restore(snapshot) {
    if (this.free) [this.free.area.value] = snapshot;
    else snapshot.forEach((literal, index) => (this.touched.add(index), this.set(index, literal)));
  }

  shuffle() {
    this.fields.forEach((field, index) => this.set(index, any(field) ?? this.row[index]));
  }

  get canShuffle() {
    return this.fields.some((field) => any(field) !== null);
  }

  // --- which inputs are shown ---

  matching() {
    const wanted = byId("filter").value.trim().toLowerCase();
    const all = this.fields.map((_, index) => index);
    const found = wanted ? all.filter((index) => this.fields[index].name.toLowerCase().includes(wanted)) : this.ordered(all);
    const wrong = all.filter((index) => this.wrong.has(index) && !found.slice(0, this.most).includes(index));
    return [[...wrong.slice(0, PAGE), ...found.slice(0, this.most)], found.length];
  }

  /** Of a model that takes what is there, first what is. */
  ordered(all) {
    if (!this.sparse) return all;
    const there = (index) => (this.fields[index].example === null ? 1 : 0);
    return all.sort((one, other) => there(one) - there(other) || one - other);
  }

  show() {
    if (this.free) return;
    const [indices, found] = this.matching();
    byId("fields").replaceChildren(...indices.map((index) => this.control(index).node));
    const left = found - Math.min(found, this.most);
    byId("more-box").hidden = !left;
    byId("more").textContent = `Show ${Math.min(left, PAGE)} more of ${left.toLocaleString("en")}`;
    byId("filter-note").textContent = `${Math.min(found, this.most).toLocaleString("en")} of ${plural(found, "input")} shown; all ${this.fields.length.toLocaleString("en")} are sent.`;
  }

  find() {
    this.most = PAGE;
    this.show();
  }

  showMore() {
    const next = this.most;
    this.most += PAGE;
    this.show();
    this.control(this.matching()[0][next]).focus();
  }

  control(index) {
    return (this.made[index] ??= control(this.fields[index], index, this));
  }

  // --- what is wrong with them ---

  /** Shows each error at its input; gives those that belong to none. */
  tell(errors) {
    this.wrong.clear();
    const rest = errors.filter((error) => {
      const index = this.fields.findIndex((field) => field.name === error.column);
      if (index >= 0) this.wrong.set(index, sentence(error));
      return index < 0;
    });
    if (this.wrong.size && this.fields.length > PAGE) this.show();
    this.made.forEach((control, index) => control.tell(this.wrong.get(index) ?? ""));
    if (this.free) this.tellFree(errors.map(sentence).join(" "));
    return rest;
  }

  /** What the input lacks that is not filled in as it must be. */
  expected(index) {
    return this.fields[index].type === "datetime" ? "a date and time" : "a number";
  }

  tellFree(text) {
    this.free.error.textContent = text;
    this.free.area.setAttribute("aria-invalid", String(Boolean(text)));
  }

  focus(index) {
    if (!this.control(index).node.isConnected) this.show();
    this.control(index).focus();
  }
}

const sentence = ({ expected, got }) => `Expected ${expected}; got ${got === "null" ? "nothing" : got}.`;

const list = (values, gap) => wrapped("[", values, "]", gap);

const record = (pairs, gap) => wrapped("{", pairs.map(([name, value]) => `${json(name)}: ${value}`), "}", gap);

function wrapped(open, parts, close, gap) {
  const line = open + parts.join(", ") + close;
  return line.length < 44 || !gap ? line : `${open}\n${parts.map((part) => gap + "  " + part).join(",\n")}\n${gap}${close}`;
}

function freeLiteral(text) {
  const trimmed = text.trim();
  const whole = /^[[{]/.test(trimmed) ? trimmed : `[${trimmed}]`;
  try {
    return trimmed && json(JSON.parse(whole)) && whole;
  } catch {
    return null;
  }
}

/** What an input starts with: its example, as JSON. */
function first(field) {
  if (field.example !== null) return json(field.example);
  if (field.nullable) return "null";
  if (field.categories) return json(field.categories[0]);
  return { boolean: "false", string: '""' }[field.type] ?? "null";
}

/** Some plausible value, null where none is known. */
function any(field) {
  if (field.categories?.length) return json(field.categories[Math.floor(Math.random() * field.categories.length)]);
  if (field.type === "boolean") return json(Math.random() < 0.5);
  if (!hasRange(field)) return null;
  const [low, high] = field.quantiles ? [field.quantiles[1], field.quantiles[5]] : [field.minimum, field.maximum];
  const value = low + Math.random() * (high - low);
  return field.type === "integer" ? json(Math.round(value)) : json(rounded(value, stepOf(field)));
}

const hasRange = ({ type, minimum, maximum }) => ["number", "integer"].includes(type) && minimum !== null && maximum !== null && minimum < maximum;

/** A round number of which some two hundred fit between the bounds. */
function stepOf({ type, minimum, maximum }) {
  const power = 10 ** Math.floor(Math.log10((maximum - minimum) / 100));
  return type === "integer" ? Math.max(1, Math.round(power)) : power;
}

function bounds(field, step = stepOf(field)) {
  const { minimum, maximum } = field;
  return [Math.floor(minimum / step) * step, Math.ceil(maximum / step) * step].map((bound) => rounded(bound, step));
}

/** Where nine of ten values of the training data are; where that is not known, the bounds. */
function usual(field) {
  if (!field.quantiles) return bounds(field);
  return bounds({ minimum: field.quantiles[1], maximum: field.quantiles[5] }, stepOf(field));
}

const rounded = (value, step) => Number((Math.round(value / step) * step).toPrecision(12));
