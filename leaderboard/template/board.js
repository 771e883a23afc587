"use strict";
// Sorting and filtering of the tables; the state is in the address, so that every view has a link.
(() => {
  const tables = [...document.querySelectorAll("table.board")], form = document.getElementById("filters");
  if (!tables.length || !form) return;
  const parts = tables.map((table) => ({ body: table.tBodies[0], rows: [...table.tBodies[0].rows], heads: [...table.tHead.rows[0].cells], whole: table.closest("[data-whole]") }));
  const rows = parts.flatMap((part) => part.rows), said = document.getElementById("shown");
  const names = [...form.elements].map((field) => field.name).filter(Boolean), usual = form.dataset.sort || "-rank1";
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  const value = (row, name) => row.dataset[name] ?? "";
  const compare = (name, numeric, down) => (one, other) => {
    const a = value(one, name), b = value(other, name);
    if (a === "" || b === "") return (a === "") - (b === "");
    return (numeric ? a - b : a.localeCompare(b)) * (down ? -1 : 1);
  };
  const sorted = ({ body, rows, heads }, name, down) => {
    for (const one of heads) one.removeAttribute("aria-sort");
    const head = heads.find((one) => one.dataset.sort === name);
    if (!head) return;
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    [...rows].sort(compare(name, "numeric" in head.dataset, down)).forEach((row) => body.append(row));
  };
  const show = (state) => {
    const order = state.get("sort");
    for (const part of parts) sorted(part, order.replace("-", ""), order.startsWith("-"));
    const words = state.get("q").toLowerCase().split(/\s+/);
    for (const row of rows) {
      row.hidden = !(words.every((word) => value(row, "text").toLowerCase().includes(word)) &&
        names.every((name) => name === "q" || !state.get(name) || value(row, name) === state.get(name)));
    }
    for (const { rows, whole } of parts) if (whole) whole.hidden = rows.every((row) => row.hidden);
    said.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} ${said.dataset.what || "rows"}`;
  };
  let held = "";  // the last fragment that was a state: others lead to places in the page
  const read = () => {
    const hash = location.hash.slice(1);
    if (!hash || hash.includes("=")) held = hash;
    const state = new URLSearchParams(held);
    if (!/^-?[a-z0-9_]+$/.test(state.get("sort") ?? "")) state.set("sort", usual);
    for (const name of names) {
      const asked = state.get(name) ?? "", options = form.elements[name].options;
      state.set(name, !options || [...options].some((option) => option.value === asked) ? asked : "");
    }
    return state;
  };
  const write = (changes) => {
    const state = read();
    for (const [name, to] of Object.entries(changes)) state.set(name, to);
    const kept = [...state].filter(([name, to]) => to && !(name === "sort" && to === usual));
    held = new URLSearchParams(kept).toString();
    history.replaceState(null, "", "#" + held);
    show(state);
  };
  for (const head of parts.flatMap((part) => part.heads)) {
    head.querySelector("button")?.addEventListener("click", () => {
      const now = read().get("sort"), name = head.dataset.sort;
      const first = "numeric" in head.dataset && !("lower" in head.dataset) ? "-" : "";
      write({ sort: now === first + name ? (first ? name : "-" + name) : first + name });
    });
  }
  for (const field of form.elements) {
    if (field.name) field.addEventListener("input", () => write({ [field.name]: field.value }));
  }
  form.addEventListener("reset", () => write({ ...Object.fromEntries(names.map((name) => [name, ""])), sort: usual }));
  const load = () => {
    const state = read();
    for (const name of names) form.elements[name].value = state.get(name);
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
