// Data, pictures and the dialog that shows one image.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const dark = matchMedia("(prefers-color-scheme: dark)");
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const nameOf = (label) => (label < 0 ? "training image" : data.classes[label]);
const className = (item) => nameOf(data.labels[item]);
const percent = (part, whole) => (whole ? `${((100 * part) / whole).toFixed(1)}%` : "–");

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function addressOf(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type: "image/webp" }));
}

// Where each item's picture is: a sheet and its column and row. Later parts have larger pictures.
const pictures = new Map();
for (const part of data.pictures) {
  const sheets = part.sheets.map((sheet) => ({ url: addressOf(sheet), image: null }));
  const size = part.columns ** 2;
  part.items.forEach((item, i) => {
    const sheet = Math.floor(i / size), place = i % size;
    const rows = Math.ceil(part.counts[sheet] / part.columns);
    const spot = { sheet: sheets[sheet], side: part.side, columns: part.columns, rows };
    const small = pictures.get(item)?.small ?? spot;
    pictures.set(item, { ...spot, x: place % part.columns, y: Math.floor(place / part.columns), small });
    if (small === spot) Object.assign(spot, { x: place % part.columns, y: Math.floor(place / part.columns) });
  });
  part.sheets = null;
}

function dress(node, item, label) {
  const spot = pictures.get(item);
  node.setAttribute("aria-label", label ?? `${className(item)}, ${data.titles[item]}`);
  node.title = `${className(item)}\n${data.titles[item]}`;
  if (!spot) {
    node.textContent = "no picture";
    return node;
  }
  const { columns, rows, x, y } = spot;
  node.style.backgroundImage = `url("${spot.sheet.url}")`;
  node.style.backgroundSize = `${columns * 100}% ${rows * 100}%`;
  node.style.backgroundPosition = `${(100 * x) / (columns - 1)}% ${rows > 1 ? (100 * y) / (rows - 1) : 0}%`;
  node.classList.toggle("pixelated", spot.side <= 40);
  return node;
}

function picture(item, { kind = "", label, tab = true } = {}) {
  const made = element("button", { type: "button", class: `pic ${kind}`, "data-item": item });
  if (!tab) made.tabIndex = -1;
  return dress(made, item, label);
}

function neighborsOf(row, tab) {
  const query = data.wall.queries[row], list = element("div", { class: "neighbors" });
  data.wall.places[row].forEach((item, i) => {
    const similarity = (data.wall.similarities[row][i] / 1000).toFixed(2);
    const isRight = data.labels[item] === data.labels[query];
    const words = `${className(item)}, similarity ${similarity}, ${isRight ? "right" : "wrong"}`;
    const made = picture(item, { kind: isRight ? "right" : "wrong", label: words, tab });
    const mark = element("span", { class: isRight ? "yes" : "no" }, `${similarity} ${isRight ? "✓" : "✗"}`);
    const name = element("span", { class: "name" }, className(item));
    list.append(element("div", { class: "neighbor" }, made, mark, name));
  });
  return list;
}

const rowOf = new Map(data.wall.queries.map((item, row) => [item, row]));

function view(item) {
  const made = dress(element("div", { class: "pic", role: "img" }), item);
  $("viewer-picture").replaceChildren(made);
  $("viewer-title").textContent = className(item);
  $("viewer-text").textContent = data.titles[item] + (item >= data.halves ? ", a training image" : "");
  const row = rowOf.get(item);
  $("viewer-heading").hidden = row === undefined;
  $("viewer-neighbors").replaceChildren(...(row === undefined ? [] : neighborsOf(row, true).childNodes));
  if (!$("viewer").open) $("viewer").showModal();
}

for (const node of document.querySelectorAll(".pic[data-item]")) dress(node, Number(node.dataset.item));
document.addEventListener("click", (event) => {
  const node = event.target.closest?.("button.pic");
  if (node) view(Number(node.dataset.item));
  else if (event.target === $("viewer")) $("viewer").close();
});
