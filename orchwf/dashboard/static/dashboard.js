// What a page does beyond HTML: all of it works without this file, but is less at hand.
"use strict";

const root = document.documentElement;
const find = (selector) => document.querySelector(selector);

// Theme: light, dark, or what the system says.

const themes = ["", "light", "dark"];
const themeButton = find("#theme");
const nameTheme = () => {
  themeButton.textContent = { light: "Light", dark: "Dark" }[root.dataset.theme] || "Auto";
  themeButton.setAttribute("aria-label", `Theme: ${themeButton.textContent}`);
};
themeButton.hidden = false;
nameTheme();
themeButton.addEventListener("click", () => {
  const next = themes[(themes.indexOf(root.dataset.theme || "") + 1) % themes.length];
  if (next) root.dataset.theme = next;
  else delete root.dataset.theme;
  document.cookie = `orchwf_theme=${next}; path=/; max-age=31536000; samesite=strict`;
  nameTheme();
});

// Live: the server says that something has changed, and the page is asked for again.

let source = null;
let isAsking = false;
let isBehind = false;
let restUntil = 0;
let zoom = 0;

const isBusy = () => {
  const live = find("#live");
  const typing = document.activeElement?.matches("input:not([type=checkbox]), select, textarea");
  return (
    (typing && live.contains(document.activeElement)) ||
    live.querySelector("input[type=checkbox]:checked, details[open]") !== null ||
    [...live.querySelectorAll("textarea, input[type=text], input[type=number]")].some((field) => field.value !== field.defaultValue)
  );
};

// A page that costs much is asked for seldom: the server has better things to do.
const refresh = async () => {
  if (isAsking || performance.now() < restUntil) {
    if (!isBehind) setTimeout(again, Math.max(100, restUntil - performance.now()));
    isBehind = true;
    return;
  }
  if (isBusy()) {
    find("#stale").hidden = false;
    return;
  }
  isAsking = true;
  const begun = performance.now();
  try {
    await htmx.ajax("GET", location.pathname + location.search, { target: "#live", select: "#live", swap: "outerMorph" });
    prepare();
  } finally {
    isAsking = false;
    restUntil = performance.now() + 4 * (performance.now() - begun);
  }
};
const again = () => {
  isBehind = false;
  refresh();
};

const listen = () => {
  const address = find("#live")?.dataset.live;
  if (source !== null || !address || document.hidden) return;
  source = new EventSource(address);
  source.addEventListener("changed", refresh);
  source.addEventListener("over", () => {
    deafen();
    refresh();
  });
};
const deafen = () => {
  source?.close();
  source = null;
};
document.addEventListener("visibilitychange", () => {
  if (document.hidden) deafen();
  else if (find("#live")?.dataset.live) {
    listen();
    refresh();
  }
});
window.addEventListener("pagehide", deafen);

// What HTML has no words for.

const prepare = () => {
  for (const each of document.querySelectorAll(".zoom, [data-all]")) each.hidden = false;
  const picture = find(".graph svg");
  if (picture) {
    const fitting = (find(".graph").clientWidth - 2) / picture.viewBox.baseVal.width;
    zoom = zoom || Math.max(0.55, Math.min(1, fitting));
    picture.setAttribute("width", picture.viewBox.baseVal.width * zoom);
    picture.setAttribute("height", picture.viewBox.baseVal.height * zoom);
  }
};

document.addEventListener("click", (event) => {
  const step = event.target.closest("[data-zoom]");
  if (step) {
    const picture = find(".graph svg");
    const room = find(".graph").clientWidth - 4;
    zoom = Number(step.dataset.zoom) ? zoom * Number(step.dataset.zoom) : Math.min(1, room / picture.viewBox.baseVal.width);
    prepare();
    return;
  }
  const row = event.target.closest("tr[data-href]");
  if (row && !event.target.closest("a, input, button, label, .pick") && !String(getSelection())) location.href = row.dataset.href;
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-all]")) {
    const name = event.target.dataset.all;
    for (const box of document.getElementsByName(name)) box.checked = event.target.checked;
  }
  if (event.target.matches("#slider input[type=range]")) event.target.form.requestSubmit();
});

document.addEventListener("input", (event) => {
  if (event.target.matches("#slider input[type=range]")) {
    event.target.form.querySelector("output").textContent = `${event.target.value} / ${event.target.max}`;
  }
});

document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  const rows = [...document.querySelectorAll("tr[data-href]")];
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const focus = (index) => rows[Math.max(0, Math.min(rows.length - 1, index))]?.querySelector("a.id")?.focus();
  if (event.key === "/" && find("#q")) find("#q").focus();
  else if (event.key === "j") focus(at + 1);
  else if (event.key === "k") focus(at - 1);
  else if (event.key === "Escape" && find(".drawer .close")) location.href = find(".drawer .close").href;
  else return;
  event.preventDefault();
});

prepare();
listen();
