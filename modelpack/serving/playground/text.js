// Elements and texts. Whatever comes from the model or the service gets in as text, never as HTML.

const byId = (id) => document.getElementById(id);

/** An element with attributes; children that are strings become text. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

/** A text whose direction of writing stays its own. */
const bdi = (text) => el("bdi", {}, String(text));

// Characters that hide or turn around what stands beside them, and those that end lines elsewhere.
const UNSEEN = /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

const escaped = (character) => "\\u" + character.charCodeAt(0).toString(16).padStart(4, "0");

/** A value as JSON, with nothing in it that is read otherwise than it is run. */
const json = (value) => JSON.stringify(value).replace(UNSEEN, escaped);

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

/** What a person typed, as JSON: a number, true, false, "a string in quotes", else a text. */
function scalar(text) {
  const trimmed = text.trim();
  if (NUMBER.test(trimmed)) return trimmed;
  if (trimmed === "true" || trimmed === "false") return trimmed;
  if (/^".*"$/.test(trimmed)) {
    try {
      return json(JSON.parse(trimmed));
    } catch {
      return json(text);
    }
  }
  return json(text);
}

/** JSON, with integers that a double cannot hold as the text they were written in. */
function parse(text) {
  return JSON.parse(text, (_, value, context) =>
    typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? "")
      ? context.source
      : value,
  );
}

/** A number as it is shown large: six significant digits. */
function short(number) {
  if (number === 0 || (Math.abs(number) >= 1e-4 && Math.abs(number) < 1e9)) {
    return Number.isInteger(number) ? String(number) : String(Number(number.toPrecision(6)));
  }
  return number.toExponential(4);
}

const shown = (value) =>
  typeof value === "number" ? short(value) : value === null ? "missing" : typeof value === "string" ? value : json(value);

function bytes(count) {
  const units = ["B", "kB", "MB", "GB"];
  const power = Math.min(3, Math.floor(Math.log10(Math.max(1, count)) / 3));
  return `${Number((count / 1000 ** power).toPrecision(3))} ${units[power]}`;
}

const plural = (count, word, many = word + "s") => `${count.toLocaleString("en")} ${count === 1 ? word : many}`;

/** Copies where the browser lets it: without TLS, only by a selection of its own. */
async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el("textarea", { class: "hidden", readonly: true });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  say("Copied");
  const before = (button.dataset.says ??= button.textContent);
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = before), 1500);
}

/** Tells those who listen to the page. */
const say = (text) => (byId("said").textContent = text);
