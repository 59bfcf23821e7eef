// The threshold: its curve, and what it accepts and rejects.
const GRID = 10000, EXAMPLES = 6;
const [own, other] = data.threshold.best, [ownRows, otherRows] = data.threshold.rows;
const all = data.threshold.queries.map((_, i) => i), known = all.filter((i) => ownRows[i] >= 0);
const ascending = (places, values) => places.slice().sort((a, b) => values[a] - values[b]);
const kinds = {
  right: ascending(known.filter((i) => own[i] > other[i]), own), // their answers are right
  wrong: ascending(known.filter((i) => own[i] <= other[i]), other),
  strangers: ascending(all, other),
};
const scores = { right: own, wrong: other, strangers: other };

// The number of the first that is accepted.
const cut = (kind, level) => d3.bisector((i) => scores[kind][i]).left(kinds[kind], level);
const accepted = (kind, level) => kinds[kind].length - cut(kind, level);
const lowest = Math.floor(Math.min(d3.quantile(other, 0.01), d3.quantile(own.filter((v) => v > -GRID), 0.01)) / 100) / 100;
const steps200 = d3.range(201).map((i) => lowest + ((1 - lowest) * i) / 200);

const exampleKinds = [
  ["right", 1, "Right answers, just accepted"],
  ["right", -1, "Right answers, just rejected"],
  ["strangers", 1, "Strangers, just accepted"],
  ["strangers", -1, "Strangers, just rejected"],
];

function couple(kind, i) {
  const query = data.threshold.queries[i], answer = kind === "right" ? ownRows[i] : otherRows[i];
  const similarity = (scores[kind][i] / GRID).toFixed(3);
  const frame = kind === "right" ? "right" : "wrong";
  const words = `${className(answer)}, similarity ${similarity}`;
  const two = element("span", { class: "couple" }, picture(query), picture(answer, { kind: frame, label: words }));
  return element("div", {}, two, element("div", { class: "quiet" }, similarity));
}

function examples(level) {
  $("threshold-examples").replaceChildren(...exampleKinds.map(([kind, side, title]) => {
    const first = cut(kind, level), list = kinds[kind];
    const near = side > 0 ? list.slice(first, first + EXAMPLES) : list.slice(Math.max(0, first - EXAMPLES), first).reverse();
    const holder = element("div", { class: "examples" }, ...near.map((i) => couple(kind, i)));
    return element("div", { class: "card" }, element("h3", {}, title), near.length ? holder : element("p", { class: "quiet" }, "none"));
  }));
}

let line = data.threshold.start, later;
const share = (kind, whole) => steps200.map((t) => (whole ? accepted(kind, t * GRID) / whole : null));
const percents = (v) => `${(100 * v).toFixed(1)}%`;
const mark = (u) => {
  const x = u.valToPos(Math.min(line, 1), "x", true); // the chart ends at 1
  u.ctx.save();
  u.ctx.strokeStyle = color("ink");
  u.ctx.lineWidth = 2 * devicePixelRatio;
  u.ctx.beginPath();
  u.ctx.moveTo(x, u.bbox.top);
  u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
  u.ctx.stroke();
  u.ctx.restore();
};
const curve = lineChart($("threshold-chart"), {
  x: steps200.map((t) => Math.round(t * 1e4) / 1e4), height: 300, format: percents, label: "threshold",
  series: [
    { name: "known, right", values: share("right", known.length) },
    { name: "known, wrong", values: share("wrong", known.length), dash: [6, 4] },
    { name: "strangers accepted", values: share("strangers", all.length), dash: [2, 4] },
  ],
  options: { hooks: { draw: [mark] } },
});

function setThreshold(value) {
  line = value;
  const level = value * GRID, n = known.length;
  const counts = { right: accepted("right", level), wrong: accepted("wrong", level), strangers: accepted("strangers", level) };
  counts.missed = n - counts.right - counts.wrong;
  for (const [name, count] of Object.entries(counts)) {
    const whole = name === "strangers" ? all.length : n;
    $(`outcome-${name}`).textContent = `${count.toLocaleString("en")} of ${whole.toLocaleString("en")} (${percent(count, whole)})`;
  }
  $("threshold-value").textContent = value.toFixed(3);
  $("threshold-slider").setAttribute("aria-valuetext", `${value.toFixed(3)}, accepts ${percent(counts.right, n)} right and ${percent(counts.strangers, all.length)} of strangers`);
  curve().redraw(false);
  clearTimeout(later);
  later = setTimeout(() => examples(level), 60);
}

$("threshold-slider").min = lowest;
$("threshold-slider").value = line;
$("threshold-slider").addEventListener("input", (event) => setThreshold(Number(event.target.value)));
setThreshold(line);
