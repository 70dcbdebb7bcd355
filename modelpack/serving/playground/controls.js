// A control for one input: {node, fill(literal), tell(error), focus()}.

function control(field, index, form) {
  const id = `input-${index}`;
  const change = (literal) => {
    form.change(index, literal);
    remark.textContent = unusual(field, literal);
  };
  const parts = { field, id, long: isLong(field, form), change };
  const { main, beside = [], fill: set } = maker(field)(parts);
  main.setAttribute("aria-describedby", `${id}-hint ${id}-remark ${id}-error`);
  const error = el("p", { class: "error", id: `${id}-error` });
  const remark = el("p", { class: "hint", id: `${id}-remark` });
  const node = el(
    "div",
    { class: parts.long || form.fields.length === 1 ? "field wide" : "field" },
    el("label", { for: id }, bdi(field.name)),
    el("p", { class: "hint", id: `${id}-hint` }, hint(field)),
    el("div", { class: "control" }, main, ...beside),
    remark,
    error,
  );
  const fill = (literal) => {
    set(literal);
    remark.textContent = unusual(field, literal);
  };
  const tell = (text) => {
    error.textContent = text;
    main.setAttribute("aria-invalid", String(Boolean(text)));
  };
  fill(form.row[index]);
  tell(form.wrong.get(index) ?? "");
  return { node, fill, tell, focus: () => main.focus() };
}

/** Whether an input is a text of several lines. */
function isLong({ type, example }, form) {
  if (form.signature.layout === "text") return true;
  return type === "string" && typeof example === "string" && (example.length > 60 || example.includes("\n"));
}

function maker(field) {
  if (field.categories && field.categories.length <= LIST) return choice;
  if (field.type === "boolean") return field.nullable ? choice : toggle;
  if (field.type === "datetime" && isDate(first(field))) return moment;
  return field.type === "number" || field.type === "integer" ? number : text;
}

function hint(field) {
  const words = [TYPES[field.type] ?? field.type];
  if (hasRange(field)) words.push(`mostly ${usual(field).join(" to ")}`);
  if (field.type === "datetime" && zoneOf(field)) words.push(zoneOf(field).replace(/^(Z|[+-]00:?00)$/, "UTC"));
  if (field.categories) words[0] = `one of ${field.categories.length.toLocaleString("en")}`;
  if (field.nullable) words.push("may be missing");
  return words.join(" · ");
}

/** A quiet remark on a number beyond the known range: the model answers all the same. */
function unusual(field, literal) {
  const value = Number(literal);
  if (!hasRange(field) || literal === "null" || literal === "" || (value >= field.minimum && value <= field.maximum)) return "";
  const range = `${short(field.minimum)} to ${short(field.maximum)}`;
  return field.quantiles ? `Outside of the recorded data: ${range}` : `Unusual: mostly ${range}`;
}

function number({ field, id, change }) {
  const main = el("input", { id, type: "number", step: field.type === "integer" ? "1" : "any", placeholder: field.nullable ? "missing" : false });
  const slider = hasRange(field) ? range(field) : null;
  main.oninput = () => {
    change(main.validity.badInput ? "" : numeral(main));
    if (slider && main.value) slider.value = main.value;
  };
  if (slider) slider.oninput = () => change((main.value = String(rounded(slider.valueAsNumber, stepOf(field)))));
  const fill = (literal) => {
    main.value = literal === "null" ? "" : literal;
    if (slider && literal !== "null") slider.value = literal;
  };
  return { main, beside: slider ? [track(field, slider)] : [], fill };
}

function range(field) {
  const [min, max] = bounds(field);
  return el("input", { type: "range", min, max, step: stepOf(field), "aria-label": `${field.name}, slider` });
}

/** The slider with a band where nine of ten recorded values are. */
function track(field, slider) {
  if (!field.quantiles) return slider;
  const [min, max] = bounds(field);
  const [low, high] = [field.quantiles[1], field.quantiles[5]].map((value) => ((value - min) / (max - min)) * 100);
  const band = el("span", { class: "band" });
  band.style.left = `${low}%`;
  band.style.width = `${Math.max(1, high - low)}%`;
  return el("span", { class: "slide" }, slider, el("span", { class: "bands", title: "Nine of ten recorded values" }, band));
}

// Dates are texts of ISO 8601: what a control of the browser holds, then the zone, if there is one.
const DATE = /^"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?)\d*)?(Z|[+-]\d\d:?\d\d)?"$/;

const isDate = (literal) => literal === "null" || DATE.test(literal);

const zoneOf = (field) => DATE.exec(first(field))?.[3] ?? (/, /.test(field.dtype ?? "") ? "Z" : "");

function moment({ field, id, change }) {
  const isDay = field.example !== null && !DATE.exec(first(field))[2];
  let zone = zoneOf(field);
  const main = el("input", { id, type: isDay ? "date" : "datetime-local", step: isDay ? false : "1" });
  main.oninput = () => change(main.validity.badInput ? "" : main.value ? json(main.value + zone) : "null");
  const fill = (literal) => {
    const [, day, time = "00:00", offset] = DATE.exec(literal) ?? [];
    zone = offset ?? zone;
    main.value = day ? (isDay ? day : `${day}T${time}`) : "";
  };
  return { main, fill };
}

/** As it was typed where that is JSON: a double would lose digits of a large integer. */
const numeral = ({ value }) => (value === "" ? "null" : NUMBER.test(value) ? value : json(Number(value)));

function choice({ field, id, change }) {
  const values = (field.categories ?? [true, false]).map(json);
  if (field.example !== null && !values.includes(json(field.example))) values.push(json(field.example));
  const names = values.map((value) => (field.type === "boolean" ? (value === "true" ? "yes" : "no") : shown(JSON.parse(value))));
  const main = el("select", { id }, ...values.map((value, index) => el("option", { value }, names[index])));
  if (field.nullable && !values.includes("null")) main.prepend(el("option", { value: "null" }, "missing"));
  main.oninput = () => change(main.value);
  const fill = (literal) => {
    if (!values.includes(literal) && literal !== "null") main.append(el("option", { value: literal }, shown(JSON.parse(literal))));
    main.value = literal;
  };
  return { main, fill };
}

function toggle({ id, change }) {
  const main = el("input", { id, type: "checkbox", role: "switch" });
  main.oninput = () => change(json(main.checked));
  return { main, fill: (literal) => (main.checked = literal === "true") };
}

function text({ field, id, long, change }) {
  const isAny = field.type !== "string";
  const read = () => (isAny ? scalar(main.value) : json(main.value));
  const main = long ? el("textarea", { id, rows: 5, dir: "auto" }) : el("input", { id, type: "text", dir: "auto", spellcheck: "false" });
  const beside = field.categories ? [proposals(field, main)] : [];
  const missing = field.nullable ? el("input", { type: "checkbox", "aria-label": `${field.name} is missing` }) : null;
  main.oninput = () => {
    if (missing) missing.checked = false;
    change(read());
  };
  if (missing) {
    missing.oninput = () => change(missing.checked ? "null" : read());
    beside.push(el("label", { class: "missing" }, missing, " missing"));
  }
  const fill = (literal) => {
    const value = JSON.parse(literal);
    if (missing) missing.checked = value === null;
    main.value = value === null ? "" : typeof value === "string" && !(isAny && scalar(value) !== literal) ? value : literal;
  };
  return { main, beside, fill };
}

function proposals({ categories }, main) {
  const id = `${main.id}-list`;
  main.setAttribute("list", id);
  return el("datalist", { id }, ...categories.map((value) => el("option", { value: shown(value) })));
}
