"use strict";
// Sorting and filtering of the table; the state is in the address, so that every view has a link.
(() => {
  const table = document.getElementById("board");
  if (!table) return;
  const body = table.tBodies[0], rows = [...body.rows], form = document.getElementById("filters");
  const heads = [...table.tHead.rows[0].cells], said = document.getElementById("shown");
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  const value = (row, name) => row.dataset[name] ?? "";
  const compare = (name, numeric, down) => (one, other) => {
    const a = value(one, name), b = value(other, name);
    if (a === "" || b === "") return (a === "") - (b === "");
    return (numeric ? a - b : a.localeCompare(b)) * (down ? -1 : 1);
  };
  const show = (state) => {
    const head = heads.find((one) => one.dataset.sort === state.get("sort").replace("-", ""));
    const down = state.get("sort").startsWith("-");
    for (const one of heads) one.removeAttribute("aria-sort");
    if (head) {
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const order = [...rows].sort(compare(head.dataset.sort, "numeric" in head.dataset, down));
      order.forEach((row) => body.append(row));
    }
    const words = state.get("q").toLowerCase().split(/\s+/);
    let count = 0;
    for (const row of rows) {
      const fits = words.every((word) => value(row, "text").toLowerCase().includes(word)) &&
        ["supervision", "status"].every((name) => !state.get(name) || value(row, name) === state.get(name));
      row.hidden = !fits;
      count += fits;
    }
    said.textContent = `${count} of ${rows.length} rows`;
  };
  let held = "";  // the last fragment that was a state: others lead to places in the page
  const read = () => {
    const hash = location.hash.slice(1);
    if (!hash || hash.includes("=")) held = hash;
    const state = new URLSearchParams(held);
    if (!/^-?[a-z0-9_]+$/.test(state.get("sort") ?? "")) state.set("sort", "-rank1");
    for (const name of ["q", "supervision", "status"]) {
      const asked = state.get(name) ?? "", options = form.elements[name].options;
      state.set(name, !options || [...options].some((option) => option.value === asked) ? asked : "");
    }
    return state;
  };
  const write = (changes) => {
    const state = read();
    for (const [name, to] of Object.entries(changes)) state.set(name, to);
    const kept = [...state].filter(([name, to]) => to && !(name === "sort" && to === "-rank1"));
    held = new URLSearchParams(kept).toString();
    history.replaceState(null, "", "#" + held);
    show(state);
  };
  for (const head of heads) {
    head.querySelector("button")?.addEventListener("click", () => {
      const now = read().get("sort"), name = head.dataset.sort, first = "numeric" in head.dataset ? "-" : "";
      write({ sort: now === first + name ? (first ? name : "-" + name) : first + name });
    });
  }
  for (const field of form.elements) {
    if (field.name) field.addEventListener("input", () => write({ [field.name]: field.value }));
  }
  form.addEventListener("reset", () => write({ q: "", supervision: "", status: "", sort: "-rank1" }));
  const load = () => {
    const state = read();
    for (const name of ["q", "supervision", "status"]) form.elements[name].value = state.get(name);
    show(state);
  };
  addEventListener("hashchange", load);
  load();
})();
// The strip of queries: one stop of the tab key, arrows move, the readout says which query it is.
(() => {
  const strip = document.getElementById("strip");
  if (!strip) return;
  const cells = [...strip.children], readout = document.getElementById("readout");
  let at = -1;
  const go = (to) => {
    if (to < 0 || to >= cells.length) return;
    cells[at]?.classList.remove("on");
    cells[at]?.removeAttribute("aria-selected");
    at = to;
    cells[at].classList.add("on");
    cells[at].setAttribute("aria-selected", "true");
    strip.setAttribute("aria-activedescendant", cells[at].id);
    cells[at].scrollIntoView({ block: "nearest" });
    readout.textContent = cells[at].title;
  };
  const across = () => cells.filter((cell) => cell.offsetTop === cells[0].offsetTop).length;
  strip.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across(), ArrowUp: -across() };
    const to = { Home: 0, End: cells.length - 1 }[event.key] ?? at + (steps[event.key] ?? NaN);
    if (Number.isNaN(to)) return;
    event.preventDefault();
    go(at < 0 ? 0 : to);
  });
  strip.addEventListener("click", (event) => go(cells.indexOf(event.target)));
})();
