"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const PAGE = 60;
  const numbers = new Intl.NumberFormat("en");
  const [URI, STATUS, SCORES, MARGIN, PROBLEM, MESSAGE, WIDTH, HEIGHT, BYTES, FORMAT, BEFORE, TRUTH, OTHERS, ARE_SHARES, OTHERS_ARE_SHARES, PICTURE] =
    Array(16).keys();
  // A comparison has the scores of both sides; a report those of one.
  const sides = data.sides;
  const labelOf = (pair) => data.labels[pair[0]];
  const best = (row) => (row[SCORES].length ? labelOf(row[SCORES][0]) : "");
  const score = (row) => (row[SCORES].length ? row[SCORES][0][1] : null);
  const uriOf = (row) => data.prefix + row[URI];
  const nameOf = (row) => row[URI].split(/\/|::/).pop() || row[URI];
  const percent = (value) => (value * 100).toFixed(1) + " %";
  // What is no share (no function was applied) is a number, wherever it lies.
  const show = (value, isShare) => (isShare ? percent(value) : value.toFixed(3));

  function make(tag, props = {}, ...children) {
    const made = Object.assign(document.createElement(tag), props);
    made.append(...children);
    return made;
  }
  const isolate = (text) => make("bdi", { textContent: text });
  const cut = (text, most) => {
    const signs = [...text];
    const half = Math.floor((most - 1) / 2);
    return signs.length <= most ? text : [...signs.slice(0, half), "…", ...signs.slice(-half)].join("");
  };

  function picture(index) {
    const drawn = $("p" + index);
    if (drawn) return make("img", { src: drawn.src, alt: "", className: drawn.className });
    const row = data.rows[index];
    return make("span", { className: "none", textContent: row[PICTURE] || row[PROBLEM] || "no picture in this report" });
  }

  const scored = (pair, isShare) =>
    make("span", { className: "row" }, make("b", {}, isolate(labelOf(pair))), make("span", { textContent: show(pair[1], isShare) }));

  function card(index) {
    const row = data.rows[index];
    const words = make("span", { className: "words" });
    if (sides) words.append(scored(row[OTHERS][0], row[OTHERS_ARE_SHARES]), scored(row[SCORES][0], row[ARE_SHARES]));
    else if (row[SCORES].length) words.append(scored(row[SCORES][0], row[ARE_SHARES]));
    else words.append(make("b", { textContent: row[PROBLEM] || row[STATUS] }));
    words.append(make("span", { className: "name" }, isolate(cut(nameOf(row), 40))));
    const button = make("button", { type: "button", className: "card", title: uriOf(row) }, make("span", { className: "frame" }, picture(index)), words);
    button.dataset.i = index;
    return make("li", {}, button);
  }

  /* All images: search, filter, sort; a page at a time. */
  let found = [];
  let shown = 0;
  const other = (row) => (row[OTHERS].length ? labelOf(row[OTHERS][0]) : "");
  // Those that the page has.
  const filters = [["by-other", other], ["by-label", best], ["by-status", (row) => row[STATUS]]].filter(([id]) => $(id));
  const fields = [$("find"), ...filters.map(([id]) => $(id)), $("sort")];
  const haystack = data.rows.map((row) => [uriOf(row), best(row), other(row), row[PROBLEM]].join("\n").toLowerCase());
  const last = Number.POSITIVE_INFINITY;
  const orders = {
    given: () => 0,
    margin: (a, b) => (a[MARGIN] ?? last) - (b[MARGIN] ?? last),
    high: (a, b) => (score(b) ?? -last) - (score(a) ?? -last),
    low: (a, b) => (score(a) ?? last) - (score(b) ?? last),
    name: (a, b) => (a[URI] < b[URI] ? -1 : a[URI] > b[URI] ? 1 : 0),
  };

  function fill(select, values) {
    for (const [value, count] of values) {
      select.append(make("option", { value, textContent: `${cut(value, 60)} (${numbers.format(count)})` }));
    }
  }
  function count(values) {
    const counts = new Map();
    for (const value of values) if (value) counts.set(value, (counts.get(value) ?? 0) + 1);
    return [...counts].sort((a, b) => b[1] - a[1]);
  }
  function more() {
    const until = Math.min(shown + PAGE, found.length);
    const next = found.slice(shown, until).map(card);
    $("all").append(...next);
    shown = until;
    $("more").hidden = shown >= found.length;
    $("more").textContent = `Show ${numbers.format(Math.min(PAGE, found.length - shown))} more`;
    return next[0];
  }
  function search() {
    const words = fields[0].value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = filters.map(([id, valueOf]) => [$(id).value, valueOf]);
    found = [];
    data.rows.forEach((row, index) => {
      const fits = wanted.every(([value, valueOf]) => !value || valueOf(row) === value);
      if (fits && words.every((word) => haystack[index].includes(word))) found.push(index);
    });
    found.sort((a, b) => orders[$("sort").value](data.rows[a], data.rows[b]) || a - b);
    shown = 0;
    $("all").replaceChildren();
    more();
    $("nothing").hidden = found.length > 0;
    $("found").textContent = `${numbers.format(found.length)} of ${numbers.format(data.rows.length)} images`;
  }
  for (const [id, valueOf] of filters) fill($(id), count(data.rows.map(valueOf)));
  for (const field of fields) field.addEventListener("input", search);
  $("more").addEventListener("click", () => more()?.firstChild.focus());
  $("clear").addEventListener("click", () => {
    for (const field of fields.slice(0, -1)) field.value = "";
    search();
    fields[0].focus();
  });

  /* One image, large, with its row; the arrows go on in the set from which it was opened. */
  const viewer = $("viewer");
  let set = [];
  let at = 0;

  function table(rows) {
    const body = make("tbody");
    for (const cells of rows) body.append(make("tr", {}, ...cells));
    return make("table", {}, body);
  }
  const raw = () => make("span", { className: "soft", textContent: " · raw scores" });
  const cell = (content, className = "") => make("td", { className }, content);

  function level(value) {
    const filled = make("span");
    filled.style.width = Math.min(Math.max(value, 0), 1) * 100 + "%";
    return make("span", { className: "level" }, filled);
  }

  function describe(row) {
    const parts = [];
    const own = [sides ? sides[1] : "Predictions", row[SCORES], row[ARE_SHARES]];
    const groups = sides ? [[sides[0], row[OTHERS], row[OTHERS_ARE_SHARES]], own] : [own];
    for (const [name, pairs, areShares] of groups) {
      const rows = pairs.map((pair) => [
        cell(isolate(labelOf(pair))),
        ...(areShares ? [cell(level(pair[1]))] : []),
        cell(show(pair[1], areShares), "number"),
      ]);
      if (rows.length) parts.push(make("h3", {}, isolate(name), ...(areShares ? [] : [raw()])), table(rows));
    }
    if (row[PROBLEM]) {
      parts.push(make("h3", { textContent: row[PROBLEM] }), make("p", { className: "soft", textContent: row[MESSAGE] }));
    }
    const facts = [["Status", row[STATUS]]];
    if (row[MARGIN] !== null) facts.push(["Margin", row[MARGIN].toFixed(4)]);
    if (row[TRUTH] >= 0) facts.push(["Truth", isolate(data.labels[row[TRUTH]])]);
    if (row[BEFORE] >= 0 && !sides) facts.push(["Before", isolate(data.labels[row[BEFORE]])]);
    if (row[WIDTH]) facts.push(["Size", `${numbers.format(row[WIDTH])} × ${numbers.format(row[HEIGHT])} px`]);
    if (row[BYTES] !== null) facts.push(["Bytes", numbers.format(row[BYTES])]);
    if (row[FORMAT]) facts.push(["Format", row[FORMAT]]);
    parts.push(make("h3", { textContent: "Row" }), table(facts.map(([name, value]) => [cell(name, "soft"), cell(value)])));
    parts.push(make("h3", { textContent: "Image" }), make("p", { className: "uri" }, isolate(uriOf(row))));
    return parts;
  }
  function view(position) {
    at = position;
    const row = data.rows[set[at]];
    const title = [isolate(row[SCORES].length ? best(row) : row[PROBLEM] || row[STATUS])];
    $("viewed").replaceChildren(...(sides ? [isolate(other(row)), " → "] : []), ...title);
    $("position").textContent = `${numbers.format(at + 1)} of ${numbers.format(set.length)}`;
    const large = picture(set[at]);
    if (large.tagName === "IMG") large.alt = nameOf(row);
    $("large").replaceChildren(large);
    $("side").replaceChildren(...describe(row));
    $("previous").disabled = at === 0;
    $("next").disabled = at === set.length - 1;
  }
  const go = (step) => {
    if (at + step >= 0 && at + step < set.length) view(at + step);
  };
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-i], [data-images]");
    if (!opener) return;
    if (opener.dataset.images) set = opener.dataset.images.split(" ").map(Number);
    else if (opener.closest("#all")) set = found;
    else set = [...opener.closest("[data-set]").querySelectorAll("[data-i]")].map((each) => Number(each.dataset.i));
    view(opener.dataset.images ? 0 : set.indexOf(Number(opener.dataset.i)));
    viewer.showModal();
  });
  $("previous").addEventListener("click", () => go(-1));
  $("next").addEventListener("click", () => go(1));
  $("close").addEventListener("click", () => viewer.close());
  viewer.addEventListener("click", (event) => event.target === viewer && viewer.close());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (viewer.open) {
      if (event.key === "ArrowLeft") go(-1);
      if (event.key === "ArrowRight") go(1);
    } else if (event.key === "/" && !event.target.closest("input, select")) {
      event.preventDefault();
      fields[0].focus();
    }
  });

  /* Colours: as the system, light, dark. */
  const themes = [["", "◐", "Auto"], ["light", "☀", "Light"], ["dark", "☾", "Dark"]];
  let theme = 0;
  $("theme").addEventListener("click", () => {
    theme = (theme + 1) % themes.length;
    const [name, sign, text] = themes[theme];
    document.documentElement.dataset.theme = name;
    $("theme").firstChild.textContent = sign;
    $("theme").lastChild.textContent = ` ${text}`;
  });

  for (const image of document.querySelectorAll("img[data-same]")) {
    const drawn = $(image.dataset.same);
    image.src = drawn.src;
    image.className = drawn.className;
  }
  search();
})();
