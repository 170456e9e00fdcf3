// What the page does beyond standing there: it draws, filters, compares with another reference, and sorts.
// All text and numbers come from the element "told", which Python wrote; nothing is fetched, and no text becomes markup.
"use strict";

const told = JSON.parse(document.getElementById("told").textContent);
const boxes = [...document.querySelectorAll("input[data-set]")];
const from = document.getElementById("from");
const to = document.getElementById("to");
const counted = document.getElementById("counted"); // which bytes stand on the axis
// The buttons are told one by one: by itself plotly has one that sends a chart to its makers.
const config = {
  displayModeBar: "hover", displaylogo: false, plotlyServerURL: "",
  typesetMath: false, // a "$" in a name is a "$"
  modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
};

// ---------------------------------------------------------------- the filter

// For each group of runs, by its number: whether it is to be seen. `told.groups` has a place per set of boxes, then bytes.
function shownGroups() {
  const chosen = [];
  for (const box of boxes) {
    const set = Number(box.dataset.set);
    chosen[set] ??= new Set();
    if (box.checked) chosen[set].add(Number(box.value));
  }
  const least = Number(from.value);
  const most = Number(to.value);
  return told.groups.map((group) => {
    const bytes = group[group.length - 1];
    return bytes >= least && bytes <= most && chosen.every((places, set) => places.has(group[set]));
  });
}

function applyFilter() {
  const shown = shownGroups();
  for (const element of document.querySelectorAll("[data-groups]")) {
    const groups = element.dataset.groups.split(" ").filter(Boolean).map(Number);
    element.hidden = groups.length > 0 && !groups.some((group) => shown[group]);
  }
  for (const block of document.querySelectorAll("tbody")) {
    const rows = [...block.querySelectorAll("tr[data-groups]")];
    block.hidden = rows.length > 0 && rows.every((row) => row.hidden);
  }
  const count = shown.filter(Boolean).length;
  document.getElementById("count").textContent = `${count} of ${shown.length} points shown`;
  drawAll(shown);
}

// ---------------------------------------------------------------- the charts

const charts = told.charts.map((chart) => ({ ...chart, place: document.getElementById(chart.name), stale: true }));
const near = new Set(); // charts that are in view, or nearly so; the others are drawn when they come there
const watcher = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      const chart = charts.find((one) => one.place === entry.target);
      if (entry.isIntersecting) {
        near.add(chart);
        if (chart.stale) draw(chart);
      } else {
        near.delete(chart);
      }
    }
  },
  { rootMargin: "400px" },
);

function drawAll(shown) {
  for (const chart of charts) {
    chart.shown = chart.traces.map((trace) => traceOf(trace, shown)).filter(Boolean);
    chart.stale = true;
    chart.lines = chart.marks.filter((mark) => mark.groups.some((group) => shown[group]));
    // A line that is always there is nothing to look at when all points are gone.
    chart.place.closest("figure").hidden = !chart.shown.some((trace) => !trace.always);
  }
  frameAll();
  for (const figures of document.querySelectorAll("[data-figures]")) {
    figures.hidden = [...figures.querySelectorAll("figure")].every((figure) => figure.hidden);
  }
  for (const chart of near) draw(chart);
}

// The part of a trace that the filter leaves, in plotly's words; null when nothing is left.
function traceOf(trace, shown) {
  const plot = { ...trace.plot };
  if (trace.groups === null) return { plot, framing: false, always: true };
  if (!Array.isArray(trace.groups)) return shown[trace.groups] ? { plot, framing: trace.framing } : null;
  const x = trace.others?.[counted.value] ?? plot.x;
  const kept = trace.groups.map((_, place) => place).filter((place) => shown[trace.groups[place]]);
  if (kept.length === 0) return null;
  if (trace.others) kept.sort((a, b) => x[a] - x[b] || a - b); // a line goes from few bytes to many, whichever are counted
  const pick = (list) => kept.map((place) => list[place]);
  plot.x = pick(x);
  plot.y = pick(plot.y);
  if (plot.customdata) plot.customdata = pick(plot.customdata);
  if (plot.error_y) plot.error_y = { ...plot.error_y, array: pick(plot.error_y.array) };
  if (trace.told) {
    plot.customdata = pick(trace.groups);
    plot.hovertext = plot.customdata.map((group) => told.hover[group]);
    plot.hoverinfo = "text";
  }
  return { plot, framing: trace.framing, told: trace.told };
}

// Axes reach over the framing points that are left; charts that share a name share their upright range.
function frameAll() {
  const upright = new Map();
  for (const chart of charts) {
    if (!chart.framed) continue;
    const framing = chart.shown.filter((trace) => trace.framing).map((trace) => trace.plot);
    const reach = (key) => framing.flatMap((plot) => plot[key]);
    chart.across = span(reach("x"), chart.layout.xaxis);
    upright.set(chart.shares, [...(upright.get(chart.shares) ?? []), ...reach("y")]);
  }
  for (const chart of charts) {
    if (chart.framed) chart.upright = span(upright.get(chart.shares), chart.layout.yaxis);
  }
}

function span(values, axis) {
  const log = axis.type === "log";
  const places = values.filter((value) => !log || value > 0).map((value) => (log ? Math.log10(value) : value));
  if (places.length === 0) return undefined;
  const least = axis.rangemode === "tozero" ? 0 : places.reduce((a, b) => Math.min(a, b));
  const most = places.reduce((a, b) => Math.max(a, b));
  const room = 0.06 * (most - least) || (log ? 0.2 : Math.abs(most) * 0.01 || 1); // a single place gets an axis around it
  return [least - (least === 0 && axis.rangemode === "tozero" ? 0 : room), most + room];
}

function draw(chart, width = chart.place.clientWidth) {
  chart.stale = false;
  const figure = chart.place.closest("figure");
  if (figure.hidden || figure.closest("[hidden]")) return;
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const lines = { gridcolor: colour("--line"), linecolor: colour("--soft"), tickcolor: colour("--soft") };
  const axes = {};
  for (const [key, axis] of Object.entries(chart.layout)) {
    if (key.includes("axis")) axes[key] = { ...lines, ...axis };
  }
  if (chart.framed && chart.across) axes.xaxis.range = chart.across;
  if (chart.framed && chart.upright) axes.yaxis.range = chart.upright;
  const rows = chart.rowHeight ? new Set(chart.shown.flatMap((trace) => trace.plot.y)).size : 0;
  const data = chart.shown.map((trace) => trace.plot);
  if (chart.front) data.unshift(frontOf(chart, colour("--soft")));
  const height = Math.max(chart.height + rows * chart.rowHeight, chart.rowHeight ? 360 : 0); // room for all tables' names
  chart.place.style.height = `${height}px`; // so that the page does not jump
  const layout = {
    width,
    height,
    margin: { l: 64, r: 36, t: 26, b: 48 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: style.fontFamily, size: 12, color: colour("--ink") },
    hovermode: "closest",
    modebar: { orientation: "v", bgcolor: "rgba(0,0,0,0)", color: colour("--soft"), activecolor: colour("--ink") },
    hoverlabel: { align: "left", namelength: -1, bgcolor: colour("--paper"), bordercolor: colour("--soft") },
    ...chart.layout,
    ...axes,
    shapes: chart.lines.map((mark) => lineOf(mark, colour("--soft"))),
    annotations: chart.lines.filter((mark) => mark.text).map((mark) => textOf(mark, chart, colour("--soft"))),
  };
  if (width < 560) layout.showlegend = false; // it would take all the room; the boxes have the colours
  layout.hoverlabel.font = { color: colour("--ink"), family: style.fontFamily, size: 12 };
  Plotly.react(chart.place, data, layout, { ...config, displayModeBar: chart.framed && config.displayModeBar });
  if (!chart.heard) {
    chart.heard = true;
    chart.place.on("plotly_click", (event) => goTo(event.points[0].customdata));
  }
}

// In other colours or another width.
function drawAgain() {
  for (const chart of charts) chart.stale = true;
  for (const chart of near) draw(chart);
}

// The best points that are left, as a stair: at each number of bytes, the highest mean so far.
function frontOf(chart, colour) {
  const points = chart.shown
    .filter((trace) => trace.told)
    .flatMap((trace) => trace.plot.x.map((x, place) => ({ x, y: trace.plot.y[place] })))
    .sort((a, b) => a.x - b.x || b.y - a.y);
  const best = [];
  for (const point of points) {
    if (best.length === 0 || point.y > best[best.length - 1].y) best.push(point);
  }
  return {
    type: "scatter", mode: "lines", name: "Pareto front", hoverinfo: "skip",
    x: best.map((point) => point.x), y: best.map((point) => point.y),
    line: { shape: "hv", width: 7, color: colour }, opacity: 0.35,
  };
}

function lineOf(mark, colour) {
  const line = { color: mark.colour || colour, width: 1, dash: mark.axis === "y" ? "dash" : "dot" };
  const across = mark.axis === "y" ? { xref: "paper", x0: 0, x1: 1, y0: mark.at, y1: mark.at }
    : { yref: "paper", y0: 0, y1: 1, x0: mark.at, x1: mark.at };
  return { type: "line", layer: "below", opacity: 0.6, line, ...across };
}

function textOf(mark, chart, colour) {
  const at = chart.layout.xaxis.type === "log" ? Math.log10(mark.at) : mark.at;
  return { text: mark.text, x: at, y: 1, yref: "paper", yanchor: "bottom", showarrow: false, font: { color: colour } };
}

function goTo(group) {
  const row = document.getElementById(`group-${group}`);
  if (row) {
    row.scrollIntoView({ block: "center" });
    row.focus({ preventScroll: true });
  }
}

// ---------------------------------------------------------------- another reference, another order

// The last two cells of each row: its difference to the chosen reference. The first choice is what Python wrote.
function compare(select) {
  const table = document.getElementById(select.dataset.table);
  const of = told.references[Number(select.dataset.scene)][Number(select.value)];
  for (const row of table.querySelectorAll("tr[data-groups]")) {
    const [text, verdict] = [...row.cells].slice(-2);
    text.dataset.first ??= JSON.stringify([text.textContent, verdict.textContent, verdict.className, text.dataset.value]);
    const [first, said, tone, value] = JSON.parse(text.dataset.first);
    const group = Number(row.dataset.groups);
    const reference = of?.[group];
    const none = [reference === group ? "the reference" : "\u2013", "", ""];
    const written = select.value === "" ? [first, said, tone] : (told.differences[group]?.[reference] ?? none);
    [text.textContent, verdict.textContent, verdict.className] = written;
    text.dataset.value = select.value === "" ? (value ?? "") : sortable(written[0]);
  }
}

// The number that a text begins with; "" when it begins with none.
function sortable(text) {
  const number = parseFloat(text.replace("\u2212", "-").replaceAll(",", ""));
  return Number.isNaN(number) ? "" : String(number);
}

// Rows stay within their budget. Numbers by their value, what has none last; texts by the alphabet.
function sortBy(button) {
  const head = button.closest("th");
  const table = head.closest("table");
  const falling = head.getAttribute("aria-sort") === "ascending";
  for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", falling ? "descending" : "ascending");
  const key = (row) => {
    const cell = row.cells[head.cellIndex];
    const number = cell.dataset.value === undefined ? sortable(cell.textContent) : cell.dataset.value;
    return { number: number === "" ? NaN : Number(number), text: cell.textContent };
  };
  const sign = falling ? -1 : 1;
  for (const block of table.tBodies) {
    const rows = [...block.rows].filter((row) => row.cells.length === table.tHead.rows[0].cells.length);
    const words = rows.every((row) => Number.isNaN(key(row).number));
    rows.sort((one, other) => {
      const [a, b] = [key(one), key(other)];
      if (words || head.cellIndex === 0) return sign * a.text.localeCompare(b.text, "en", { numeric: true });
      if (Number.isNaN(a.number) || Number.isNaN(b.number)) return Number.isNaN(a.number) - Number.isNaN(b.number);
      return sign * (a.number - b.number);
    });
    block.append(...rows);
  }
}

// ---------------------------------------------------------------- begin

for (const box of boxes) box.addEventListener("change", applyFilter);
for (const select of [from, to, counted]) select.addEventListener("change", applyFilter);
for (const button of document.querySelectorAll("button[data-all]")) {
  button.addEventListener("click", () => {
    for (const box of button.closest("fieldset").querySelectorAll("input")) box.checked = button.dataset.all === "yes";
    applyFilter();
  });
}
document.getElementById("reset").addEventListener("click", () => {
  for (const box of boxes) box.checked = true;
  for (const select of [from, to, counted]) select.value = [...select.options].find((o) => o.defaultSelected).value;
  applyFilter();
});
for (const select of document.querySelectorAll("select[data-scene]")) {
  select.addEventListener("change", () => compare(select));
}
for (const button of document.querySelectorAll("th button")) button.addEventListener("click", () => sortBy(button));
for (const element of document.querySelectorAll("[data-script]")) element.hidden = false;
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAgain);
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((details) => (details.open = true)));
addEventListener("beforeprint", () => charts.forEach((chart) => draw(chart, Math.min(chart.place.clientWidth, 980))));
addEventListener("afterprint", drawAgain);
// Our own, for that of plotly forgets the height.
let resized;
addEventListener("resize", () => {
  clearTimeout(resized);
  resized = setTimeout(drawAgain, 100);
});
applyFilter();
for (const chart of charts) watcher.observe(chart.place);
