// Many rows: a CSV file goes to the service as it is. Its predictions come back as one, and are
// shown and saved next to the rows.

const SOME = 5; // rows that are shown, and errors that are listed
const WIDE = 40; // columns that are shown
const HEAD = 2 ** 18; // bytes that are read for the preview

class Batch {
  constructor(form, send) {
    this.form = form;
    this.send = send;
    byId("file").oninput = (event) => event.target.files[0] && this.open(event.target.files[0]);
    byId("template").hidden = Boolean(form.free);
    byId("template").onclick = () => this.download(new Blob([this.template()]), "rows.csv");
    const zone = byId("many");
    document.ondragover = (event) => {
      event.preventDefault();
      zone.classList.add("over");
    };
    document.ondragleave = () => zone.classList.remove("over");
    document.ondrop = (event) => {
      event.preventDefault();
      zone.classList.remove("over");
      if (event.dataTransfer.files[0]) this.open(event.dataTransfer.files[0]);
    };
  }

  /** The inputs of the form as a file of one row. */
  template() {
    const cells = this.form.row.map((literal) => (literal === "null" ? "" : literal.startsWith('"') ? JSON.parse(literal) : literal));
    return [this.form.fields.map(({ name }) => name), cells].map(line).join("\n") + "\n";
  }

  /** Shows the first rows. They are sent when a person says so. */
  async open(file) {
    byId("file").value = "";
    const head = records(await file.slice(0, HEAD).text()).slice(0, SOME + 1).map(cellsOf);
    const names = this.form.fields.map(({ name }) => name);
    const hasNames = head.length > 0 && head[0].some((cell) => names.includes(cell));
    const missing = hasNames ? names.filter((name) => !head[0].includes(name)) : [];
    const send = el("button", { type: "button", class: "plain" }, "Predict these rows");
    send.onclick = () => this.predict(file);
    this.tell(
      el("p", {}, bdi(file.name), `, ${bytes(file.size)}: the first rows. `, send),
      preview(hasNames ? head[0] : (head[0] ?? []).map((_, index) => names[index] ?? ""), hasNames ? head.slice(1) : head.slice(0, SOME), `First rows of ${file.name}`),
      ...(missing.length ? [el("p", { class: "error" }, "Inputs that are not in the file: ", ...listed(missing.slice(0, SOME)), missing.length > SOME ? ` and ${missing.length - SOME} more` : "")] : []),
    );
    send.focus();
  }

  async predict(file) {
    this.tell(bdi(file.name), " is being predicted…");
    const started = performance.now();
    try {
      const { answer, ignored } = await this.send(file);
      const seconds = Math.round(performance.now() - started);
      const [predicted, rows] = [records(await answer.text()), records(await file.text())];
      const { head, lines, isJoined } = this.joined(rows, predicted);
      const count = predicted.length - 1;
      const save = el("button", { type: "button", class: "plain" }, isJoined ? "Save the rows with their predictions" : "Save the predictions");
      save.onclick = () => this.download(new Blob([[head, ...lines].join("\n"), "\n"]), file.name.replace(/(\.csv)?$/i, "-predictions.csv"));
      const width = cellsOf(predicted[0]).length;
      const turned = [head, ...lines.slice(0, SOME)].map(cellsOf).map((cells) => [...cells.slice(-width), ...cells.slice(0, -width)]);
      this.tell(
        el("p", {}, `${plural(count, "row")} in ${seconds} ms. `, save),
        preview(turned[0], turned.slice(1), `First predictions of ${file.name}`, width),
        ...this.ignored(ignored),
      );
    } catch (error) {
      if (error.detail === undefined) throw error;
      const errors = error.errors.slice(0, SOME).map((each) => el("li", {}, ...place(each), sentence(each)));
      this.tell(el("p", { class: "error" }, error.detail), el("ul", {}, ...errors));
    }
  }

  /** The records of the file, each with its prediction behind it, if there is one for each. */
  joined(rows, [names, ...predictions]) {
    const fields = this.form.fields.map(({ name }) => name);
    const head = rows.length === predictions.length + 1 ? rows[0] : line(cellsOf(rows[0] ?? "").map((_, index) => fields[index] ?? `column_${index + 1}`));
    const body = rows.slice(rows.length - predictions.length);
    if (rows.length - predictions.length > 1 || body.length !== predictions.length) return { head: names, lines: predictions, isJoined: false };
    const taken = cellsOf(head);
    const added = cellsOf(names).map((name) => (taken.includes(name) ? `${name}_of_the_model` : name));
    return { head: `${head},${line(added)}`, lines: body.map((row, index) => `${row},${predictions[index]}`), isJoined: true };
  }

  /** The columns of the file that are no inputs, as the header of the answer names them. */
  ignored(header) {
    if (!header) return [];
    const names = [...header.matchAll(/"([^"]*)"/g)].map(([, name]) => decodeURIComponent(name));
    const more = / *; *more=(\d+)/.exec(header)?.[1];
    return [el("p", { class: "hint" }, "Ignored, as the model has no such input: ", ...listed(names), more ? ` and ${more} more` : "")];
  }

  download(blob, name) {
    const link = el("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  tell(...parts) {
    byId("many-note").replaceChildren(...parts);
  }
}

/** A table of some rows. The first `marked` columns are predictions. */
function preview(names, rows, label, marked = 0) {
  const mark = (index) => (index < marked ? "predicted" : false);
  const cut = (cells) => cells.slice(0, WIDE);
  const head = el("tr", {}, ...cut(names).map((name, index) => el("th", { scope: "col", class: mark(index) }, bdi(name))));
  const body = rows.map((cells) => el("tr", {}, ...cut(cells).map((cell, index) => el("td", { class: mark(index) }, bdi(cell.slice(0, 80))))));
  return el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": label }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...body)));
}

const listed = (names) => names.flatMap((name, index) => [...(index ? [", "] : []), bdi(name)]);

const cell = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

const line = (cells) => cells.map(cell).join(",");

/** The records of CSV as they are written, without empty lines, as the service reads them. */
function records(text) {
  const found = [];
  let [start, isQuoted] = [0, false];
  let isFirst = true; // at the first character of a cell, where alone a quote begins
  for (let at = 0; at <= text.length; at++) {
    const character = text[at] ?? "\n";
    if (isQuoted && at < text.length) {
      if (character === '"' && text[at + 1] === '"') at++;
      else if (character === '"') isQuoted = false;
    } else if (character === "\n" || character === "\r") {
      if (at > start) found.push(text.slice(start, at));
      [start, isFirst] = [at + 1, true];
    } else {
      isQuoted = isFirst && character === '"';
      isFirst = character === ",";
    }
  }
  return found;
}

/** The cells of a record. */
const cellsOf = (record) => [...`,${record}`.matchAll(/,(?:"([^"]*(?:""[^"]*)*)"|([^,]*))/g)].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain);

function place({ row, column }) {
  const where = [...(row === null ? [] : [`Row ${row}`]), ...(column === null ? [] : [bdi(column)])];
  return where.length ? [...where.flatMap((part, index) => (index ? [", ", part] : [part])), ": "] : [];
}
