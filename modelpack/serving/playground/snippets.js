// The request as it can be run elsewhere. `row(gap)`: a JSON text, indented by `gap`, in which json()
// has left nothing that any of these languages reads otherwise.

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

const body = (row) => `{"instances": [${row}]}`;

function curl({ url, query, row, secret }) {
  const token = secret ? ` \\\n  -H "Authorization: Bearer $TOKEN"` : "";
  return `curl -sS ${quoted(url + query)} \\\n  -H 'Content-Type: application/json'${token} \\\n  -d ${quoted(body(row("  ")))}`;
}

const PYTHON = { true: "True", false: "False", null: "None" };

/** JSON as Python: strings and numbers are written alike. */
const python = (text) => text.replace(/"(?:[^"\\]|\\.)*"|\b(?:true|false|null)\b/g, (token) => PYTHON[token] ?? token);

function pythonRequests({ url, query, row, secret }) {
  const params = query ? `    params={"probabilities": "true"},\n` : "";
  const token = secret ? `    headers={"Authorization": f"Bearer {os.environ['TOKEN']}"},\n` : "";
  return `${secret ? "import os\n\n" : ""}import requests\n\nanswer = requests.post(\n    ${json(url)},\n${params}    json=${python(body(row("    ")))},\n${token}    timeout=30,\n)\nanswer.raise_for_status()\nprint(answer.json())`;
}

/** JSON as JavaScript, where one name means something else. */
const javascript = (text) => text.replaceAll('"__proto__":', '["__proto__"]:');

function javascriptFetch({ url, query, row, secret }) {
  const token = secret ? ", Authorization: `Bearer ${process.env.TOKEN}`" : "";
  return `const answer = await fetch(${json(url + query)}, {\n  method: "POST",\n  headers: { "Content-Type": "application/json"${token} },\n  body: JSON.stringify(${javascript(body(row("  ")))}),\n});\nconsole.log(await answer.json());`;
}

const LANGUAGES = [["curl", curl], ["Python", pythonRequests], ["JavaScript", javascriptFetch]];

class Snippets {
  constructor() {
    this.chosen = 0;
    this.tabs = LANGUAGES.map(([name], index) => {
      const tab = el("button", { type: "button", role: "tab", id: `tab-${index}`, "aria-controls": "snippet" }, name);
      tab.onclick = () => this.choose(index);
      tab.onkeydown = (event) => this.move(event);
      return tab;
    });
    byId("tabs").replaceChildren(...this.tabs);
    byId("copy").onclick = (event) => copy(byId("code").textContent, event.currentTarget);
    this.choose(0);
  }

  choose(index) {
    this.chosen = index;
    this.tabs.forEach((tab, each) => {
      tab.setAttribute("aria-selected", String(each === index));
      tab.tabIndex = each === index ? 0 : -1;
    });
    byId("snippet").setAttribute("aria-labelledby", `tab-${index}`);
    this.write();
  }

  move(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    this.choose((this.chosen + step + LANGUAGES.length) % LANGUAGES.length);
    this.tabs[this.chosen].focus();
  }

  show(request) {
    this.request = request;
    this.write();
  }

  write() {
    if (this.request) byId("code").textContent = LANGUAGES[this.chosen][1](this.request);
  }
}
