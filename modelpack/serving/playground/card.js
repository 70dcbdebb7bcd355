// The head of the page: which model this is.

const TASKS = {
  classifier: "A classifier",
  regressor: "A regressor",
  transformer: "A transformer",
  clusterer: "A clusterer",
  outlier_detector: "An outlier detector",
};

const lastWord = (dotted) => dotted.split(".").pop();

function showCard(summary, signature) {
  const { model, service } = summary;
  const [title, ...words] = titleOf(summary).split(model.title ? /$/ : /(?<=[a-z0-9])(?=[A-Z])/);
  byId("title").replaceChildren(title, ...words.flatMap((word) => [el("wbr"), word]));
  byId("title").classList.toggle("long", titleOf(summary).length > 40);
  document.title = `${titleOf(summary)} · playground`;
  showDescription(model.description);
  byId("kind").replaceChildren(...kind(model));
  byId("steps").replaceChildren(...steps(model));
  byId("ready").textContent = service.ready ? "ready" : "not ready";
  byId("ready").classList.toggle("off", !service.ready);
  byId("bars").replaceChildren(barcode(model.sha256));
  byId("digest").textContent = model.sha256.slice(0, 16).replace(/(.{4})(?=.)/g, "$1 ");
  byId("copy-digest").onclick = (event) => copy(model.sha256, event.currentTarget);
  byId("facts").replaceChildren(...facts(summary, signature).map(fact));
  const known = checks(service, model.format);
  byId("checks").replaceChildren(...known.map(check));
  showVersions(summary);
  const failed = known.filter(([good]) => good === false).length;
  const { warnings } = summary.environment;
  byId("about-short").textContent = [failed && plural(failed, "failed check"), warnings.length && plural(warnings.length, "warning")].filter(Boolean).map((text) => ` · ${text}`).join("");
  byId("about").open = failed > 0;
  byId("routes").replaceChildren(...summary.routes.map(route));
  byId("packed").textContent = `Packaged by modelpack ${summary.modelpack}.`;
  for (const id of ["card", "footer"]) byId(id).hidden = false;
}

/** Some lines of a long description, until the reader wants all. */
function showDescription(text) {
  const [box, button] = [byId("description"), byId("whole")];
  box.hidden = !text;
  box.textContent = text ?? "";
  const isOpen = () => box.classList.contains("open");
  button.onclick = () => {
    box.classList.toggle("open");
    button.setAttribute("aria-expanded", String(isOpen()));
    button.textContent = isOpen() ? "Show less" : "Show all of it";
  };
  new ResizeObserver(() => (button.hidden = !text || (!isOpen() && box.scrollHeight <= box.clientHeight + 1))).observe(box);
}

/** The title, else the name that it is served under, else that of what predicts. */
function titleOf({ model }) {
  if (model.title) return model.title;
  if (model.name !== "model") return model.name;
  const last = model.steps.at(-1) ?? model.estimator;
  return last ? lastWord(last) : "Model";
}

function kind(model) {
  const of = [model.framework ?? "an unknown framework", model.framework_version ?? ""].join(" ").trim();
  return [`${TASKS[model.task] ?? "A model"} of `, bdi(of)];
}

function steps(model) {
  const names = model.steps.length > 1 ? model.steps.map(lastWord) : [model.estimator ?? "unknown estimator"];
  return names.flatMap((name, index) => [...(index ? [" → "] : []), bdi(name)]);
}

function facts({ model, environment }, signature) {
  const inputs = signature.inputs.length;
  return [
    ...(model.title && model.name !== "model" ? [["Name", model.name]] : []),
    ["Estimator", model.estimator ? lastWord(model.estimator) : "unknown", model.estimator],
    ["Inputs", inputs ? inputs.toLocaleString("en") : "unknown"],
    ...(signature.tensors ?? []).map(({ name, shape }) => [name, `[n, ${shape.join(", ")}]`, "Nested lists as instances, or a tensor of V2"]),
    signature.classes ? ["Classes", signature.classes.length.toLocaleString("en")] : ["Gives", GIVES[model.task] ?? "values"],
    ["Version", model.version],
    ["Python", environment.python ?? "unknown"],
    ["Format", model.format],
    ["Size", bytes(model.size)],
  ];
}

const GIVES = { regressor: "a number", transformer: "a vector", clusterer: "a cluster", outlier_detector: "1 or −1" };

const fact = ([name, value, whole]) => el("div", {}, el("dt", {}, name), el("dd", { title: whole }, bdi(value)));

function checks({ ready, parity, proof }, format) {
  const known = [[true, "The model file is the one that was packaged: its digest was checked at the start"]];
  known.push([ready, ready ? "The model is loaded and ready" : "The model does not predict its example"]);
  const untested = parity?.startsWith("untested");
  known.push(parity ? [untested ? null : true, `Parity: ${parity}`] : [null, "Parity: no comparison with the author's model is recorded here"]);
  if (format === "compiled") known.push(proof ? [true, `Compiled: ${proof}`] : [null, "Compiled: no comparison with the model itself is recorded here"]);
  return known;
}

function check([good, text]) {
  const sign = good ? "✓" : good === null ? "–" : "✗";
  return el("li", { class: good ? "good" : good === null ? "open" : "bad" }, el("span", { "aria-hidden": "true" }, sign), " ", text);
}

function showVersions({ environment }) {
  const told = Object.entries(environment.versions);
  const other = told.filter(([, { recorded, installed }]) => !agree(recorded, installed));
  byId("versions").hidden = !told.length && !environment.warnings.length;
  byId("versions-note").textContent = other.length ? `${plural(other.length, "library", "libraries")} not as recorded` : "as the model file records them";
  byId("warnings").replaceChildren(...environment.warnings.map((warning) => el("li", {}, bdi(warning))));
  byId("versions-rows").replaceChildren(
    ...told.map(([name, { recorded, installed }]) =>
      el("tr", { class: !agree(recorded, installed) && "differs" }, el("th", { scope: "row" }, bdi(name)), el("td", {}, bdi(recorded)), el("td", {}, bdi(installed ?? "–"))),
    ),
  );
}

/** Only a version that is recorded exactly can differ. */
const agree = (recorded, installed) => installed === null || recorded === installed || /^[<>!~=]/.test(recorded);

const route = ({ method, path, does }) => el("tr", {}, el("th", { scope: "row" }, el("code", {}, `${method} ${path}`)), el("td", {}, does));

/** The digest as bars: each hexadecimal digit is a bar and a gap of one to four units. */
function barcode(digest) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  let x = 0;
  for (const digit of digest) {
    const number = parseInt(digit, 16) || 0;
    const bar = document.createElementNS(space, "rect");
    for (const [name, value] of [["x", x], ["width", 1 + (number & 3)], ["height", 10]]) bar.setAttribute(name, value);
    svg.append(bar);
    x += 2 + (number & 3) + (number >> 2);
  }
  svg.setAttribute("viewBox", `0 0 ${Math.max(1, x)} 10`);
  svg.setAttribute("preserveAspectRatio", "none");
  return svg;
}
