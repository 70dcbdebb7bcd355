// The page: a client of GET ./ and ./signature, which tell what the model is, and of POST ./predict.

const PAUSE = 250; // ms without typing before the model is asked
const SLOW = 5000; // ms of an answer after which it is asked only by the button

let token = null; // never stored
let model = null; // {summary, signature, form, answer, snippets}
let asking = null; // the AbortController of the request under way
let timer = 0;

/** The response to a request; what went wrong is thrown as {detail, errors, status}. */
async function ask(path, options = {}) {
  const headers = { Accept: "application/json", ...options.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers, credentials: "omit" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw { detail: "The service cannot be reached. Does it still run?", errors: [], status: 0 };
  }
  if (!response.ok) throw await problem(response);
  return response;
}

async function problem(response) {
  const { status } = response;
  const document = await response.json().catch(() => ({}));
  const wait = response.headers.get("Retry-After");
  const told = [document.detail ?? `The service answered with status ${status}.`];
  if (wait) told.push(`Try again in ${wait} s.`);
  if (status >= 500 && document.request_id) told.push(`It is ${document.request_id}.`);
  return { status, detail: told.join(" "), errors: document.errors ?? [] };
}

async function open() {
  byId("gate").hidden = byId("down").hidden = true;
  try {
    const documents = ["./", "./signature"].map(async (path) => (await ask(path)).json());
    start(...(await Promise.all(documents)));
  } catch (error) {
    if (error.status === 401) return gate();
    if (error.detail === undefined) throw error;
    byId("down").hidden = false;
    byId("down-note").textContent = error.detail;
  }
}

function gate() {
  if (token) byId("token-error").textContent = "The service does not accept this token.";
  token = null;
  byId("gate").hidden = false;
  byId("token").focus();
}

function start(summary, signature) {
  showCard(summary, signature);
  for (const id of ["inputs", "answer", "request", "many"]) byId(id).hidden = false;
  const form = new Form(signature);
  const answer = new Answer(summary, signature);
  const visit = new Visit(form, answer, (row) => (form.restore(row), changed(0)));
  model = { summary, signature, form, answer, visit, effects: new Effects(form, summary, signature, predictRows, explainRow), snippets: new Snippets() };
  new Batch(form, predictFile);
  byId("shuffle").hidden = !form.canShuffle;
  byId("reset").textContent = summary.example ? "Example" : "Clear";
  byId("share").hidden = Boolean(form.free);
  offer(form, signature);
  fromLink(form);
  changed(0);
}

/** Real rows to fill in. */
function offer(form, { samples = [], sample_names: names = [] }) {
  byId("samples").hidden = !samples.length;
  const options = samples.map((row, index) => el("option", { value: index }, names[index] || `Row ${index + 1}: ${brief(row)}`));
  byId("sample").replaceChildren(el("option", { value: "" }, "Real rows…"), ...options);
  byId("sample").onchange = ({ target }) => {
    if (target.value === "") return;
    form.load(samples[target.value]);
    changed(0);
    target.value = "";
  };
}

const cut = (text) => (text.length > 16 ? `${text.slice(0, 15)}…` : text);

const brief = (row) => row.slice(0, 4).map((value) => cut(shown(value))).join(", ") + (row.length > 4 ? ", …" : "");

// --- asking the model ---

const target = () => new URL("./predict", location).href;

const query = () => (model.signature.probabilities ? "?probabilities=true" : "");

/** The inputs are others: the snippets too, and the model is asked after `pause` ms. */
function changed(pause = PAUSE) {
  model.snippets.show({ url: target(), query: query(), row: (gap) => model.form.literal(gap) || "[]", secret: Boolean(token) });
  clearTimeout(timer);
  if (byId("live").checked && model.form.isWhole) {
    timer = setTimeout(() => predict(pause > 0), pause);
    wait(true);
  } else stale(true);
}

/** Dims the prediction of other inputs until that of these ones comes. */
function wait(is) {
  byId("main").classList.toggle("waiting", is && Boolean(model.answer.last));
}

/** Marks the prediction that is shown as that of other inputs. */
function stale(is) {
  wait(false);
  const shows = is && Boolean(model.answer.last);
  byId("main").classList.toggle("stale", shows);
  byId("stale").hidden = !shows;
  if (shows) byId("took").textContent = "";
}

/** `isTyped`: a person may still be typing. */
async function predict(isTyped = false) {
  clearTimeout(timer);
  const row = model.form.literal();
  const open = model.form.unfinished;
  if (open >= 0) return tell({ errors: [{ column: model.form.fields[open].name, expected: model.form.expected(open), got: "something else" }] });
  if (!row) return tell({ errors: [{ column: null, expected: "numbers and texts with commas between them, or JSON", got: "something else" }] });
  asking?.abort();
  const mine = (asking = new AbortController());
  const started = performance.now();
  try {
    const { predictions, probabilities } = await predictRows([row], mine.signal);
    took(performance.now() - started);
    tell(null);
    stale(false);
    const answer = { prediction: predictions[0], probabilities: probabilities?.[0] };
    model.answer.show(answer, isExample());
    model.visit.add(answer, isTyped);
    model.effects.update(answer);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.status === 401) return gate();
    if (error.detail === undefined) throw error;
    tell(error);
  }
}

/** What each input of a row adds to its prediction, or why this is not known. `target`: of several outputs, or "". */
async function explainRow(row, target) {
  const response = await ask(`./contributions${target && `?target=${target}`}`, { method: "POST", body: body(row), headers: { "Content-Type": "application/json" } });
  return parse(await response.text());
}

/** The answer to rows that are JSON texts. */
async function predictRows(rows, signal) {
  const response = await ask(target() + query(), { method: "POST", body: body(rows.join(", ")), headers: { "Content-Type": "application/json" }, signal });
  return parse(await response.text());
}

/** The predictions of a CSV file as one, and the columns that the model does not have. */
async function predictFile(file) {
  const headers = { "Content-Type": "text/csv", Accept: "text/csv" };
  const response = await ask(target() + query(), { method: "POST", body: file, headers });
  return { answer: await response.blob(), ignored: response.headers.get("Modelpack-Ignored-Inputs") };
}

const isExample = () => !model.form.free && model.form.row.every((literal, index) => literal === first(model.form.fields[index]));

function took(milliseconds) {
  byId("took").textContent = `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
  if (milliseconds > SLOW) byId("live").checked = false;
}

/** Shows a problem: each error at its input, the rest above them. */
function tell(problem) {
  const { form } = model;
  const rest = form.tell(problem?.errors ?? []);
  const box = byId("problem");
  box.replaceChildren();
  if (!problem) return;
  stale(true);
  const places = [...form.wrong].slice(0, 20).map(([index, text]) => {
    const jump = el("button", { type: "button", class: "jump" }, bdi(form.fields[index].name));
    jump.onclick = () => form.focus(index);
    return el("li", {}, jump, " ", text);
  });
  const others = rest.map((error) => el("li", {}, ...(error.column ? [bdi(error.column), ": "] : []), sentence(error)));
  const whole = places.length + others.length ? `The service does not take ${plural(places.length + others.length, "value")}:` : problem.detail;
  box.append(el("p", {}, whole), el("ul", {}, ...places, ...others));
}

// --- links ---

/** The inputs that are not those of the example, in the part of the address that is not sent. */
function link() {
  const { fields, row } = model.form;
  const pairs = fields.map((field, index) => [field.name, row[index], first(field)]).filter(([, literal, example]) => literal !== example);
  const address = new URL(location);
  address.hash = pairs.length ? `row=${encodeURIComponent(record(pairs, ""))}` : "";
  return address.href;
}

function fromLink(form) {
  if (!location.hash.startsWith("#row=")) return;
  try {
    const given = new Map(Object.entries(JSON.parse(decodeURIComponent(location.hash.slice(5)))));
    form.fields.forEach((field, index) => {
      const value = given.get(field.name);
      if (value !== undefined && (value === null || typeof value !== "object")) form.set(index, json(value));
    });
  } catch {
    say("The link's inputs cannot be read.");
  }
}

// --- what a person does ---

byId("form").oninput = (event) => event.target.closest("#fields") && changed();
byId("form").onsubmit = (event) => {
  event.preventDefault();
  predict().then(() => model.form.wrong.size && byId("problem").focus());
};
document.onkeydown = (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || !model) return;
  event.preventDefault();
  byId("form").requestSubmit();
};
byId("live").oninput = (event) => event.target.checked && changed(0);
byId("reset").onclick = () => (model.form.reset(), changed(0));
byId("shuffle").onclick = () => (model.form.shuffle(), changed(0));
byId("share").onclick = (event) => copy(link(), event.currentTarget);
byId("again").onclick = open;
addEventListener("beforeprint", () => (byId("about").open = true));
byId("gate-form").onsubmit = (event) => {
  event.preventDefault();
  token = byId("token").value;
  byId("token").value = "";
  open();
};

open();
