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

// The graph: larger, smaller, dragged, and where one is in it.

const svgName = "http://www.w3.org/2000/svg";
const drawn = (name, marks) => {
  const element = document.createElementNS(svgName, name);
  for (const [key, value] of Object.entries(marks)) element.setAttribute(key, value);
  return element;
};

// A small picture of a graph that does not fit: its boxes, and the part that is seen.
const drawMap = (picture, room) => {
  const frame = room.parentElement;
  frame.querySelector(".minimap")?.remove();
  if (room.scrollWidth < 1.6 * room.clientWidth && room.scrollHeight < 1.6 * room.clientHeight) return;
  const { width, height } = picture.viewBox.baseVal;
  const map = drawn("svg", { class: "minimap", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  const scale = Math.min(180 / width, 120 / height);
  map.setAttribute("width", Math.max(24, width * scale));
  map.setAttribute("height", Math.max(24, height * scale));
  const moved = picture.querySelector("g[transform]")?.transform.baseVal.consolidate()?.matrix;
  for (const step of picture.querySelectorAll("g.step")) {
    const box = step.getBBox();
    const status = [...step.classList].find((each) => !["step", "when", "optional"].includes(each)) || "pending";
    const place = { x: box.x + (moved?.e || 0), y: box.y + (moved?.f || 0), width: box.width, height: box.height };
    map.append(drawn("rect", { class: `s-${status}`, ...place }));
  }
  const seen = drawn("rect", { class: "seen" });
  map.append(seen);
  const follow = () => {
    seen.setAttribute("x", room.scrollLeft / zoom);
    seen.setAttribute("y", room.scrollTop / zoom);
    seen.setAttribute("width", Math.min(width, room.clientWidth / zoom));
    seen.setAttribute("height", Math.min(height, room.clientHeight / zoom));
  };
  const go = (event) => {
    if (event.buttons !== 1) return;
    const area = map.getBoundingClientRect();
    room.scrollLeft = ((event.clientX - area.left) / area.width) * width * zoom - room.clientWidth / 2;
    room.scrollTop = ((event.clientY - area.top) / area.height) * height * zoom - room.clientHeight / 2;
    event.preventDefault();
  };
  map.addEventListener("pointerdown", go);
  map.addEventListener("pointermove", go);
  room.onscroll = follow;
  follow();
  frame.append(map);
};

// What is in the middle stays there. Without a factor all of it is to be seen.
const zoomBy = (factor) => {
  const room = find(".graph");
  const picture = room?.querySelector("svg");
  if (!picture) return;
  const { width, height } = picture.viewBox.baseVal;
  const fit = Math.min(1, (room.clientWidth - 4) / width, Math.max(200, innerHeight * 0.75 - 4) / height);
  const next = factor ? Math.min(4, Math.max(0.05, zoom * factor)) : fit;
  const left = ((room.scrollLeft + room.clientWidth / 2) / zoom) * next - room.clientWidth / 2;
  const top = ((room.scrollTop + room.clientHeight / 2) / zoom) * next - room.clientHeight / 2;
  zoom = next;
  prepare();
  room.scrollTo(left, top);
};

let grip = null;
document.addEventListener("pointerdown", (event) => {
  const room = event.target.closest(".graph");
  if (room && event.button === 0 && event.pointerType === "mouse" && !event.target.closest("a")) {
    grip = { room, x: event.clientX + room.scrollLeft, y: event.clientY + room.scrollTop };
  }
});
document.addEventListener("pointermove", (event) => {
  if (grip) grip.room.scrollTo(grip.x - event.clientX, grip.y - event.clientY);
});
document.addEventListener("pointerup", () => (grip = null));

// What HTML has no words for.

const prepare = () => {
  for (const each of document.querySelectorAll(".zoom, [data-all]")) each.hidden = false;
  const picture = find(".graph svg");
  if (picture) {
    const fitting = (find(".graph").clientWidth - 2) / picture.viewBox.baseVal.width;
    zoom = zoom || Math.max(0.55, Math.min(1, fitting));
    picture.setAttribute("width", picture.viewBox.baseVal.width * zoom);
    picture.setAttribute("height", picture.viewBox.baseVal.height * zoom);
    drawMap(picture, find(".graph"));
  }
};

document.addEventListener("click", (event) => {
  const step = event.target.closest("[data-zoom]");
  if (step) {
    zoomBy(Number(step.dataset.zoom));
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

const zooms = { "+": 1.25, "=": 1.25, "-": 0.8, 0: 0 };
// The next page, or the one before: of the items beside a run, where these have pages.
const turn = (key) => {
  const kind = key === "n" ? "next" : "prev";
  return find(`.drawer a[rel=${kind}]`) || find(`main a[rel=${kind}]`);
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  const rows = [...document.querySelectorAll("tr[data-href]")];
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const focus = (index) => rows[Math.max(0, Math.min(rows.length - 1, index))]?.querySelector("a.id")?.focus();
  if (event.key === "/" && find("#q")) find("#q").focus();
  else if (event.key === "j") focus(at + 1);
  else if (event.key === "k") focus(at - 1);
  else if ((event.key === "n" || event.key === "p") && turn(event.key)) turn(event.key).click();
  else if (find(".graph") && event.key in zooms) zoomBy(zooms[event.key]);
  else if (event.key === "Escape" && find(".drawer .close")) location.href = find(".drawer .close").href;
  else return;
  event.preventDefault();
});

prepare();
listen();
