// What the model said, and what the example gave, to compare with.

const CHANCES = 8; // classes that are shown at first
const VALUES = 48; // of a vector

class Answer {
  constructor(summary, signature) {
    this.task = summary.model.task;
    this.outputs = signature.outputs;
    this.before = null;
    this.all = false;
  }

  /** `answer`: {prediction, probabilities}. `isExample`: the inputs are those of the example. */
  show(answer, isExample) {
    if (isExample) this.before ??= answer;
    this.last = answer;
    byId("output").replaceChildren(...this.prediction(answer.prediction));
    this.showChances();
    byId("mini").replaceChildren(bdi(this.inShort(answer)));
  }

  inShort({ prediction, probabilities }) {
    const value = Array.isArray(prediction) ? `${prediction.slice(0, 3).map(shown).join(", ")}${prediction.length > 3 ? "…" : ""}` : shown(prediction);
    const chance = probabilities && !Array.isArray(probabilities) ? Math.max(...Object.values(probabilities)) : NaN;
    return Number.isFinite(chance) ? `${value} ${percent(chance)}` : value;
  }

  prediction(value) {
    if (Array.isArray(value)) return [vector(value.flat(), this.outputs)];
    const large = el("p", { class: shown(value).length > 14 ? "large long" : "large" }, bdi(shown(value)));
    return [large, ...this.remarks(value).map((remark) => el("p", { class: "remark" }, remark))];
  }

  remarks(value) {
    const remarks = [];
    if (this.task === "outlier_detector") remarks.push(value === -1 ? "an outlier" : "like what it was trained on");
    if (this.task === "clusterer") remarks.push("the number of the cluster");
    if (typeof value === "number" && shown(value) !== String(value)) remarks.push(`exactly ${value}`);
    const before = this.before?.prediction;
    if (this.task === "regressor" && typeof before === "number" && typeof value === "number" && before !== value) {
      remarks.push(`${value > before ? "+" : "−"}${short(Math.abs(value - before))} against the example`);
    }
    return remarks;
  }

  showChances() {
    const { probabilities } = this.last;
    const outputs = Array.isArray(probabilities) ? probabilities : probabilities ? [probabilities] : [];
    const before = [this.before?.probabilities ?? []].flat();
    byId("chances").replaceChildren(...outputs.flatMap((each, index) => this.chances(each, before[index] ?? {}, outputs.length > 1 ? index : null)));
    if (byId("chances").querySelector(".tick")) byId("chances").append(el("p", { class: "legend" }, "what the example gives"));
  }

  chances(probabilities, before, number) {
    const sorted = Object.entries(probabilities).sort(([, one], [, other]) => other - one);
    const some = this.all ? sorted : sorted.slice(0, CHANCES);
    const name = number === null ? "Probability of each class" : `Probabilities of output ${number + 1}`;
    const heading = el("h3", { class: number === null ? "hidden" : "small" }, name);
    const bars = el("ul", { class: "bars", "aria-label": name }, ...some.map(([label, chance]) => bar(label, chance, before[label])));
    if (some.length === sorted.length) return [heading, bars];
    const more = el("button", { type: "button", class: "plain" }, `All ${sorted.length.toLocaleString("en")} classes`);
    more.onclick = () => ((this.all = true), this.showChances());
    return [heading, bars, el("p", { class: "more" }, more)];
  }
}

function bar(label, chance, before) {
  const fill = el("span", { class: "fill" });
  fill.style.width = `${Math.min(1, Math.max(0, chance ?? 0)) * 100}%`;
  const track = el("span", { class: "track", "aria-hidden": "true" }, fill);
  if (Math.abs((before ?? chance) - chance) > 0.005) {
    const tick = el("span", { class: "tick", title: percent(before) });
    tick.style.left = `${before * 100}%`;
    track.append(tick);
  }
  return el("li", {}, el("span", { class: "name" }, bdi(label)), " ", track, " ", el("span", { class: "chance" }, chance === null ? "–" : percent(chance)));
}

/** Never "100 %" or "0 %" of what is not. */
function percent(chance) {
  const rounded = (chance * 100).toFixed(1);
  if (rounded === "100.0" && chance < 1) return ">99.9 %";
  if (rounded === "0.0" && chance > 0) return "<0.1 %";
  return `${rounded} %`;
}

function vector(values, outputs) {
  const names = outputs.length === values.length ? outputs.map(({ name }) => name) : values.map((_, index) => index);
  const items = values.slice(0, VALUES).map((value, index) => el("li", {}, el("span", { class: "at" }, bdi(names[index])), " ", el("b", { title: String(value) }, bdi(shown(value)))));
  const left = values.length - items.length;
  return el("div", {}, el("p", { class: "remark" }, plural(values.length, "value") + (left ? `, the first ${items.length} of them:` : ":")), el("ol", { class: "vector" }, ...items));
}
