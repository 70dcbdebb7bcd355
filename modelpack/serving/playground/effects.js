// How much each input matters here: what the model predicts if this input alone gets its usual value.
// One request of as many rows as there are such inputs, of any model, without a library.

const ROWS = 100; // inputs that are tried
const CELLS = 40000; // values of such a request
const BARS = 12;

class Effects {
  /** `ask(instances)` predicts rows that are JSON texts. */
  constructor(form, { model: { task } }, signature, ask) {
    this.isAmount = !["classifier", "clusterer", "outlier_detector"].includes(task);
    this.form = form;
    this.ask = ask;
    this.usual = form.fields.map(usualOf);
    this.box = byId("effects");
    byId("why").hidden = form.free || form.fields.length < 2 || Boolean(signature.tensors?.length);
    byId("why").ontoggle = () => this.update();
  }

  /** The prediction is that of the present inputs. */
  update(answer = this.answer) {
    this.answer = answer;
    if (answer && byId("why").open && !byId("why").hidden) this.find(answer);
  }

  async find(answer) {
    const row = this.form.snapshot;
    const most = Math.min(ROWS, Math.floor(CELLS / row.length));
    const all = row.map((_, index) => index).filter((index) => this.usual[index] !== null && !equal(row[index], this.usual[index]));
    const tried = all.slice(0, most);
    const effects = [];
    try {
      const rows = tried.map((index) => this.form.literal("", Object.assign([...row], { [index]: this.usual[index] })));
      const { predictions, probabilities } = rows.length ? await this.ask(rows) : { predictions: [] };
      tried.forEach((index, at) => effects.push({ index, ...effect(answer, { prediction: predictions[at], probabilities: probabilities?.[at] }, this.isAmount) }));
    } catch (error) {
      if (error.detail === undefined) throw error;
      return this.box.replaceChildren(el("p", { class: "error" }, error.detail));
    }
    if (answer !== this.answer) return; // of other inputs
    this.show(effects, row.length - all.length, all.length - tried.length, answer);
  }

  show(effects, usual, untried, answer) {
    const moved = effects.filter(({ size, other }) => size || other !== undefined).sort((one, next) => Math.abs(next.size) - Math.abs(one.size));
    const most = Math.max(...moved.map(({ size }) => Math.abs(size)), 1e-300);
    const notes = [
      moved.length > BARS && `${moved.length - BARS} more have smaller effects.`,
      effects.length > moved.length && `${plural(effects.length - moved.length, "input")} without an effect.`,
      usual && `${plural(usual, "input")} at the usual value.`,
      untried && `${plural(untried, "input")} not tried.`,
    ];
    const measure = answer.probabilities && !Array.isArray(answer.probabilities) ? [el("span", {}, "Points of the probability of ", bdi(labelOf(answer)))] : [this.isAmount ? "Difference of the prediction" : "Inputs that decide"];
    const list = el("ul", { class: "bars effects" }, ...moved.slice(0, BARS).map((each) => this.item(each, most)));
    this.box.replaceChildren(...(moved.length ? [el("h3", { class: "small" }, ...measure), list] : []), el("p", { class: "hint" }, notes.filter(Boolean).join(" ")));
  }

  item({ index, size, text, other }, most) {
    const bar = el("span", { class: size < 0 ? "fill less" : "fill" });
    bar.style.width = `${(Math.abs(size) / most) * 50}%`;
    const track = el("span", { class: "track both", "aria-hidden": "true" }, bar);
    const instead = el("span", { class: "hint" }, "usual: ", bdi(shown(parse(this.usual[index]))), ...(other === undefined ? [] : [", then ", bdi(shown(other))]));
    return el("li", {}, el("span", { class: "name" }, bdi(this.form.fields[index].name)), el("span", { class: "chance" }, text), track, instead);
  }
}

/** The median of the training data if it is known, otherwise the value of the example. */
function usualOf(field) {
  if (field.quantiles && hasRange(field)) return json(field.type === "integer" ? Math.round(field.quantiles[3]) : field.quantiles[3]);
  const literal = first(field);
  return literal === "null" && !field.nullable ? null : literal;
}

const equal = (one, other) => one === other || (NUMBER.test(one) && NUMBER.test(other) && Number(one) === Number(other));

/** What the present value adds to the prediction, against the usual one. `other`: another label. */
function effect(now, changed, isAmount) {
  if (isAmount && typeof now.prediction === "number") {
    const size = now.prediction - changed.prediction;
    return { size, text: signed(size, short) };
  }
  const other = json(now.prediction) === json(changed.prediction) ? undefined : changed.prediction;
  const chances = now.probabilities;
  if (!chances || Array.isArray(chances)) return { size: 0, text: other === undefined ? "" : "decides", other };
  const label = labelOf(now);
  const size = (chances[label] - changed.probabilities[label]) * 100 || 0;
  return { size: Math.abs(size) < 0.05 ? 0 : size, text: signed(size, (points) => points.toFixed(1)), other };
}

/** The predicted class, as probabilities name it: 1.0 of the model is 1 here. */
function labelOf({ prediction, probabilities }) {
  const label = typeof prediction === "string" ? prediction : json(prediction);
  return label in probabilities ? label : Object.keys(probabilities).reduce((one, other) => (probabilities[other] > probabilities[one] ? other : one));
}

const signed = (number, write) => (number < 0 ? "−" : "+") + write(Math.abs(number));
