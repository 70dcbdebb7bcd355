// How much each input matters here. Of linear models, trees and boosting the service knows what each
// input adds, and of texts what each word does (POST ./contributions). Of others the page asks what
// the model predicts if this input alone gets its usual value: one request of as many rows as there
// are such inputs.

const ROWS = 100; // inputs that are tried
const CELLS = 40000; // values of such a request
const BARS = 12;

const METHODS = {
  coefficients: ["Read from the coefficients of this linear model. A bar is what the input adds, compared with its reference: its mean in the training data if the model contains it, otherwise its median in the recorded data or its value in the example.", "Base: all inputs at their references"],
  tree_paths: ["Read from the trees of this model. Each split on the path of these inputs changes the mean prediction of the training rows that get there, and the bar of an input adds up the changes at its splits. An input that no split on the path compares has no bar, but may matter for other values.", "Base: mean over the training data"],
  shapley: ["Shapley values, which the library of this model computes from its trees. A bar is the share of the input in the difference from the mean over the training data.", "Base: mean over the training data"],
  mixed: ["This model predicts the mean of several models. A bar is the mean of what the input adds in each: in linear models compared with its reference, in trees compared with the mean over the training data.", "Base: mean of the bases of the models"],
};

const WORDS = {
  coefficients: ["Read from the coefficients of this linear model. A bar is the coefficient of the word times its value. A sequence of words may have its own coefficient, and words that share a column of the model have one bar.", "Base: a text without these words"],
  left_out: ["A bar is the difference to the prediction if this word alone is left out, wherever it is in the text. Effects of words that act together are not separated, and do not add up."],
};

const NONE = { number: 0, contribution: 0 };

const ONE_BY_ONE = "A bar is the difference to the prediction if this input alone gets its usual value: its median in the recorded data, otherwise its value in the example. Effects of inputs that act together are not separated, and do not add up. The page sends one request with a row for each input.";

class Effects {
  /** `ask(instances)` predicts rows that are JSON texts; `explain(row, target)` gives what its inputs add. */
  constructor(form, { model: { task } }, signature, ask, explain) {
    this.isAmount = !["classifier", "clusterer", "outlier_detector"].includes(task);
    this.form = form;
    this.ask = ask;
    this.explain = explain;
    this.outputs = signature.outputs;
    this.several = signature.classes?.length > 2;
    this.usual = form.fields.map(usualOf);
    this.box = byId("effects");
    this.none = noneOf(signature.tensors ?? [], form.fields.length);
    this.isText = form.fields.length === 1 && form.fields[0].type === "string" && !form.fields[0].categories;
    byId("why").hidden = form.free || (form.fields.length < 2 && !this.isText);
    byId("why-title").textContent = this.isText ? "Effect of each word" : "Effect of each input";
    byId("why").ontoggle = () => this.update();
    byId("target").oninput = () => this.update();
  }

  /** The prediction is that of the present inputs. */
  update(answer = this.answer) {
    this.answer = answer;
    if (answer) this.offer(answer.prediction);
    if (!answer || !byId("why").open || byId("why").hidden) return;
    if (this.none) byId("how").textContent = this.none;
    else this.find(answer);
  }

  /** The outputs of a vector to choose from. */
  offer(prediction) {
    const count = Array.isArray(prediction) && largestOf(prediction) !== null ? prediction.flat(9).length : 0;
    byId("target-box").hidden = count < 2;
    if (byId("target").length === (count && Math.min(count, ROWS) + 1)) return;
    const names = Array.from({ length: Math.min(count, ROWS) }, (_, index) => this.outputName(index));
    byId("target").replaceChildren(...(count ? [el("option", { value: "" }, "the largest output")] : []), ...names.map((name, index) => el("option", { value: index }, name)));
  }

  outputName(index) {
    return this.outputs[index]?.name ?? `value ${index}`;
  }

  async find(answer) {
    const row = this.form.snapshot;
    const found = await this.explained(this.form.literal(), byId("target").value);
    if (answer !== this.answer) return; // of other inputs
    if (found.words) return this.addWords(found);
    if (found.method) return this.add(found, row);
    if (this.isText) return this.show([], { how: `The effects of words are not known. ${found.reason ?? ""}` });
    await this.change(answer, row, found.reason);
  }

  /** What the service knows; {} if it has no such route or fails. */
  async explained(row, target) {
    if (!this.explain) return {};
    try {
      return await this.explain(row, target);
    } catch (error) {
      if (error.detail === undefined) throw error;
      if (error.status === 404) this.explain = null;
      return {};
    }
  }

  // --- contributions, which add up ---

  add({ method, inputs, ...result }, row) {
    const effects = inputs.map(({ contribution, reference }, index) => {
      const now = shown(parse(row[index]));
      const other = reference === undefined ? undefined : shown(typeof reference === "number" ? Number(reference.toPrecision(4)) : reference);
      const hint = other === undefined || other === now ? [bdi(now || "empty")] : [bdi(now || "empty"), ", reference ", bdi(other || "empty")];
      return { index, size: contribution, hint };
    });
    this.showSums(effects, METHODS[method], result);
  }

  addWords({ method, words, other_words: others, reason, ...result }) {
    const effects = words.map(({ word, contribution }) => ({ name: word, size: contribution }));
    const [how, start] = WORDS[method];
    const why = reason ? `Exact contributions are not known. ${reason} ` : "";
    const untried = others.contribution === null && others.number && `${plural(others.number, "word")} not tried.`;
    const rest = others.contribution === null ? undefined : others;
    this.showSums(effects, [why + how, start], result, { noun: "word", rest, notes: [untried] });
  }

  /** Effects in the unit of the output, with their sum if there is a base. */
  showSums(effects, [how, start], { output, class: label, target = null, base, total }, { noun = "input", rest = NONE, notes = [] } = {}) {
    const factor = output === "probability" ? 100 : 1;
    const write = output === "probability" ? (points) => points.toFixed(1) : brieflyOf(base ?? total, total, ...effects.map(({ size }) => size));
    const scaled = effects.map((each) => ({ ...each, size: each.size * factor, text: signed(each.size * factor, write) }));
    const [measure, meaning] = measureOf(output, label, this.several, base === null, target === null ? "the prediction" : this.outputName(target));
    const sums = base === null ? [] : [sumsOf(start, `All ${noun}s`, base * factor, total * factor, write)];
    const together = (size) => `together ${signed(size + rest.contribution * factor, write)}`;
    this.show(scaled, { how, measure, notes: [...notes, meaning], sums, noun, more: rest.number, together });
  }

  // --- one change at a time ---

  async change(answer, row, reason) {
    const most = Math.min(ROWS, Math.floor(CELLS / row.length));
    const all = row.map((_, index) => index).filter((index) => this.usual[index] !== null && !equal(row[index], this.usual[index]));
    const tried = all.slice(0, most);
    const chosen = byId("target").value;
    const largest = chosen === "" ? largestOf(answer.prediction) : Number(chosen);
    const effects = [];
    try {
      const rows = tried.map((index) => this.form.literal("", Object.assign([...row], { [index]: this.usual[index] })));
      const { predictions, probabilities } = rows.length ? await this.ask(rows) : { predictions: [] };
      tried.forEach((index, at) => effects.push({ index, ...effect(answer, { prediction: predictions[at], probabilities: probabilities?.[at] }, this.isAmount, largest) }));
    } catch (error) {
      if (error.detail === undefined) throw error;
      return this.box.replaceChildren(el("p", { class: "error" }, error.detail));
    }
    if (answer !== this.answer) return;
    for (const each of effects) {
      each.hint = ["usual: ", bdi(shown(parse(this.usual[each.index]))), ...(each.other === undefined ? [] : [", then ", bdi(shown(each.other))])];
    }
    const usual = row.length - all.length;
    const notes = [
      usual && `${plural(usual, "input")} at the usual value.`,
      all.length > tried.length && `${plural(all.length - tried.length, "input")} not tried.`,
    ];
    const why = reason ? `Exact contributions are not known. ${reason} ` : "";
    this.show(effects, { how: why + ONE_BY_ONE, measure: this.changed(answer, largest, chosen), notes });
  }

  /** What differs, in words. */
  changed(answer, largest, chosen) {
    if (answer.probabilities && !Array.isArray(answer.probabilities)) return ["Points of the probability of ", bdi(labelOf(answer))];
    if (largest === null) return [this.isAmount ? "Difference of the prediction" : "Inputs that decide"];
    return ["Difference of ", bdi(this.outputName(largest)), chosen === "" ? ", the largest one" : ""];
  }

  // --- both ---

  /** `more`: the number of effects that are smaller than these. `together`: writes their sum. */
  show(effects, { how, measure = [], notes = [], sums = [], noun = "input", more = 0, together = () => "" }) {
    byId("how").textContent = how;
    const moved = effects.filter(({ size, other }) => size || other !== undefined).sort((one, next) => Math.abs(next.size) - Math.abs(one.size));
    const most = Math.max(...moved.map(({ size }) => Math.abs(size)), 1e-300);
    const rest = moved.slice(BARS);
    const left = rest.length + more;
    const words = [
      left && `${plural(left, `more ${noun}`)} of smaller effect ${together(rest.reduce((sum, { size }) => sum + size, 0))}`.trim() + ".",
      effects.length > moved.length && `${plural(effects.length - moved.length, noun)} without effect here.`,
      ...notes,
    ];
    const list = el("ul", { class: "bars effects" }, ...moved.slice(0, BARS).map((each) => this.item(each, most)));
    const heading = moved.length || sums.length ? [el("h3", { class: "small" }, ...measure)] : [];
    this.box.replaceChildren(...heading, ...(moved.length ? [list] : []), ...sums, el("p", { class: "hint" }, words.filter(Boolean).join(" ")));
  }

  item({ index, name = this.form.fields[index].name, size, text, hint }, most) {
    const bar = el("span", { class: size < 0 ? "fill less" : "fill" });
    bar.style.width = `${(Math.abs(size) / most) * 50}%`;
    const track = el("span", { class: "track both", "aria-hidden": "true" }, bar);
    return el("li", {}, el("span", { class: "name" }, bdi(name)), el("span", { class: "chance" }, text), track, ...(hint ? [el("span", { class: "hint" }, ...hint)] : []));
  }
}

/** What contributions are amounts of, and what such an amount means. */
function measureOf(output, label, several, isDifference, what) {
  const of = bdi(shown(label));
  return {
    prediction: [[isDifference ? "Difference of " : "Added to ", bdi(what)]],
    log_prediction: [["Added to the logarithm of ", bdi(what)], "The prediction is e to the power of the sum. +0.69 doubles it."],
    transformed_prediction: [["Added to the transformed value of ", bdi(what)], "The model transforms the sum back to the prediction."],
    probability: [["Points of the probability of ", of]],
    log_odds: [["Added to the log odds of ", of], "Log odds of 0 are a probability of 50 %. +0.69 doubles the odds."],
    score: [[isDifference ? "Difference of the score of " : "Added to the score of ", of], several ? "The class with the highest score is predicted." : "A class is predicted if its score is above 0."],
  }[output];
}

/** The base, the sum of the effects, and both together. */
function sumsOf(start, all, base, total, write) {
  const value = (number) => (number < 0 ? "−" : "") + write(Math.abs(number));
  const rows = [[start, value(base)], [all, signed(total - base, write)], ["Together", value(total)]];
  return el("dl", { class: "sums" }, ...rows.map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text))));
}

/** Why there are no effects: tensors other than lists of few numbers. */
function noneOf(tensors, inputs) {
  if (!tensors.length || (tensors.every(({ shape }) => shape.length < 2) && inputs <= ROWS)) return "";
  const shapes = tensors.map(({ shape }) => shape.join(" × ")).join(", ");
  return `No effects are shown: the input is a tensor of ${shapes} values, and a change of one of them means little.`;
}

/** Writes contributions with the same decimals, which give the largest number four significant digits. */
function brieflyOf(...numbers) {
  const size = Math.max(...numbers.map(Math.abs));
  const decimals = size > 0 && size < 1e9 ? Math.max(0, Math.min(12, 3 - Math.floor(Math.log10(size)))) : 0;
  return size < 1e9 ? (number) => number.toFixed(decimals) : short;
}

/** The median of the training data if it is known, otherwise the value of the example. */
function usualOf(field) {
  if (field.quantiles && hasRange(field)) return json(field.type === "integer" ? Math.round(field.quantiles[3]) : field.quantiles[3]);
  const literal = first(field);
  return literal === "null" && !field.nullable ? null : literal;
}

const equal = (one, other) => one === other || (NUMBER.test(one) && NUMBER.test(other) && Number(one) === Number(other));

/** The position of the largest number of a vector, null of other predictions. */
function largestOf(prediction) {
  const values = Array.isArray(prediction) ? prediction.flat(9) : [];
  return values.length && values.every((value) => typeof value === "number") ? values.indexOf(Math.max(...values)) : null;
}

/** What the present value adds to the prediction, against the usual one. `other`: another label. */
function effect(now, changed, isAmount, largest) {
  const at = (prediction) => (largest === null ? prediction : prediction.flat(9)[largest]);
  if (largest !== null || (isAmount && typeof now.prediction === "number")) {
    const size = at(now.prediction) - at(changed.prediction);
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
