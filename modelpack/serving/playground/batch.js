// Many rows: a CSV file goes to the service as it is, and its predictions come back as one.

const SOME = 5; // errors that are listed

class Batch {
  constructor(form, send) {
    this.form = form;
    this.send = send;
    byId("file").oninput = (event) => event.target.files[0] && this.predict(event.target.files[0]);
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
      if (event.dataTransfer.files[0]) this.predict(event.dataTransfer.files[0]);
    };
  }

  /** The inputs of the form as a file of one row. */
  template() {
    const cells = this.form.row.map((literal) => (literal === "null" ? "" : literal.startsWith('"') ? JSON.parse(literal) : literal));
    return [this.form.fields.map(({ name }) => name), cells].map((line) => line.map(cell).join(",")).join("\n") + "\n";
  }

  async predict(file) {
    this.tell(bdi(file.name), " is being predicted…");
    const started = performance.now();
    try {
      const { answer, ignored } = await this.send(file);
      // Line ends outside of quotes, but for that of the line of names.
      const lines = (await answer.text()).replace(/"[^"]*"/g, "").split("\n").length - 2;
      this.tell(`${plural(lines, "row")} in ${Math.round(performance.now() - started)} ms. `, this.saving(answer, file), ...this.ignored(ignored));
    } catch (error) {
      if (error.detail === undefined) throw error;
      const errors = error.errors.slice(0, SOME).map((each) => el("li", {}, ...place(each), sentence(each)));
      this.tell(el("p", { class: "error" }, error.detail), el("ul", {}, ...errors));
    }
    byId("file").value = "";
  }

  /** The columns of the file that are no inputs, as the header of the answer names them. */
  ignored(header) {
    if (!header) return [];
    const names = [...header.matchAll(/"([^"]*)"/g)].map(([, name]) => bdi(decodeURIComponent(name)));
    const more = / *; *more=(\d+)/.exec(header)?.[1];
    return [el("p", { class: "remark" }, "Ignored, as the model has no such input: ", ...names.flatMap((name, index) => (index ? [", ", name] : [name])), more ? ` and ${more} more` : "")];
  }

  saving(answer, file) {
    const name = file.name.replace(/(\.csv)?$/i, "-predictions.csv");
    const button = el("button", { type: "button", class: "plain" }, "Save the predictions");
    button.onclick = () => this.download(answer, name);
    return button;
  }

  download(blob, name) {
    const link = el("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  tell(...parts) {
    byId("many-told").replaceChildren(...parts);
  }
}

const cell = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

function place({ row, column }) {
  const where = [...(row === null ? [] : [`Row ${row}`]), ...(column === null ? [] : [bdi(column)])];
  return where.length ? [...where.flatMap((part, index) => (index ? [", ", part] : [part])), ": "] : [];
}
