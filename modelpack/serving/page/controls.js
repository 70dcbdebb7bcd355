// A control for one input: {node, fill(literal), tell(error), focus()}.

function control(field, index, form) {
  const id = `input-${index}`;
  const parts = { field, id, long: isLong(field, form), change: (literal) => form.change(index, literal) };
  const { main, beside = [], fill } = maker(field)(parts);
  main.setAttribute("aria-describedby", `${id}-hint ${id}-error`);
  const error = el("p", { class: "error", id: `${id}-error` });
  const node = el(
    "div",
    { class: parts.long || form.fields.length === 1 ? "field wide" : "field" },
    el("label", { for: id }, bdi(field.name)),
    el("p", { class: "hint", id: `${id}-hint` }, hint(field)),
    el("div", { class: "control" }, main, ...beside),
    error,
  );
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
  return field.type === "number" || field.type === "integer" ? number : text;
}

function hint(field) {
  const words = [TYPES[field.type] ?? field.type];
  if (hasRange(field)) words.push(`mostly ${bounds(field).join(" to ")}`);
  if (field.categories) words[0] = `one of ${field.categories.length.toLocaleString("en")}`;
  if (field.nullable) words.push("may be missing");
  return words.join(" · ");
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
  return { main, beside: slider ? [slider] : [], fill };
}

function range(field) {
  const [min, max] = bounds(field);
  return el("input", { type: "range", min, max, step: stepOf(field), "aria-label": `${field.name}, slider` });
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
