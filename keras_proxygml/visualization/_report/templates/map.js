// The map of embeddings. D3 zooms, pans and finds the nearest point; a canvas shows the points.
const SPACE = 4095, CLOSE = 220; // with fewer points in view, they become pictures
const canvas = $("map-canvas"), context = canvas.getContext("2d");
const WIDE = canvas.clientWidth > canvas.clientHeight ? 1.6 : 1; // stretches the map on wide screens
const points = data.map.items.map((item, i) => ({ item, x: WIDE * data.map.x[i], y: SPACE - data.map.y[i], right: data.map.right[i] }));
const tree = d3.quadtree(points, (p) => p.x, (p) => p.y);
let transform = d3.zoomIdentity, fit = { scale: 1, x: 0, y: 0 }, groups = [], chosen = null, waiting = false;

// Neighboring numbers get colors that are far apart.
const hue = (label) => d3.hcl((label * 137.508) % 360, dark.matches ? 62 : 68, dark.matches ? 72 : 56).formatHex();
const screen = (p) => [transform.applyX(fit.x + p.x * fit.scale), transform.applyY(fit.y + p.y * fit.scale)];
const place = (x, y) => [(transform.invertX(x) - fit.x) / fit.scale, (transform.invertY(y) - fit.y) / fit.scale];

function group() {
  const by = $("map-color").value, wanted = Number($("map-class").value);
  const kind = (p) => {
    if (wanted >= 0 && data.labels[p.item] !== wanted) return "pale";
    return by === "right" ? (p.right ? "right" : "wrong") : data.labels[p.item];
  };
  const shade = (key) => ({ pale: color("line"), right: color("right"), wrong: color("wrong") })[key] ?? hue(key);
  groups = [...d3.group(points, kind)].map(([key, members]) => ({ shade: shade(key), members, first: key === "pale" }));
  groups.sort((a, b) => b.first - a.first);
  redraw();
}

function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}

function draw() {
  const ratio = devicePixelRatio, { clientWidth: width, clientHeight: height } = canvas;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  const radius = Math.min(7, (points.length > 3000 ? 1.9 : 2.8) * Math.sqrt(transform.k));
  const inView = (x, y) => x > -40 && y > -40 && x < width + 40 && y < height + 40;
  let seen = [];
  for (const { shade, members } of groups) {
    context.fillStyle = shade;
    context.beginPath();
    for (const p of members) {
      const [x, y] = screen(p);
      if (!inView(x, y)) continue;
      if (seen.length < CLOSE) seen.push([p, x, y, shade]);
      context.moveTo(x + radius, y);
      context.arc(x, y, radius, 0, 7);
    }
    context.fill();
  }
  if (seen.length < CLOSE && transform.k > 1.5) seen.forEach(([p, x, y, shade]) => drawPicture(p.item, x, y, 56, shade));
  if (chosen) drawPicture(chosen.item, ...screen(chosen), 40, color("accent"));
}

function drawPicture(item, x, y, side, shade) {
  const spot = pictures.get(item)?.small;
  if (!spot) return;
  if (!spot.sheet.image) {
    spot.sheet.image = new Image();
    spot.sheet.image.onload = redraw;
    spot.sheet.image.src = spot.sheet.url;
  }
  context.fillStyle = shade;
  context.fillRect(x - side / 2 - 3, y - side / 2 - 3, side + 6, side + 6);
  if (!spot.sheet.image.complete) return;
  const s = spot.side;
  context.imageSmoothingEnabled = s > 40;
  context.drawImage(spot.sheet.image, spot.x * s, spot.y * s, s, s, x - side / 2, y - side / 2, side, side);
}

function choose(x, y, reach) {
  const found = tree.find(...place(x, y), reach / transform.k / fit.scale) ?? null;
  if (found === chosen) return;
  chosen = found;
  $("map-tip").hidden = !found;
  if (found) {
    const [left, top] = screen(found), { clientWidth: width, clientHeight: height } = canvas;
    $("map-tip").replaceChildren(dress(element("div", { class: "pic", role: "img" }), found.item), className(found.item));
    const box = $("map-tip").getBoundingClientRect();
    const right = left + 24 + box.width > width ? left - 24 - box.width : left + 24;
    const down = Math.max(4, Math.min(height - box.height - 4, top - box.height / 2));
    $("map-tip").style.transform = `translate(${Math.max(4, Math.min(width - box.width - 4, right))}px, ${down}px)`;
    $("map-text").textContent = `${className(found.item)}, ${data.titles[found.item]}, first answer ${found.right ? "right" : "wrong"}`;
  }
  redraw();
}

// At its whole size, the map leaves one finger, and the wheel that makes it smaller, to the page.
const zoom = d3.zoom().scaleExtent([1, 400]).filter((event) => {
  if (event.type === "touchstart") return transform.k > 1 || event.touches.length > 1;
  if (event.type === "wheel") return transform.k > 1 || event.deltaY < 0;
  return !event.button;
}).on("zoom", (event) => {
  transform = event.transform;
  canvas.style.touchAction = transform.k > 1 ? "none" : "pan-y";
  $("map-tip").hidden = true;
  chosen = null;
  redraw();
});
const still = matchMedia("(prefers-reduced-motion: reduce)");
const surface = d3.select(canvas).call(zoom);
const move = () => (still.matches ? surface : surface.transition().duration(200));

function middle() {
  if (document.activeElement === canvas) choose(canvas.clientWidth / 2, canvas.clientHeight / 2, Infinity);
}

const steps = { ArrowLeft: [80, 0], ArrowRight: [-80, 0], ArrowUp: [0, 80], ArrowDown: [0, -80] };
canvas.addEventListener("keydown", (event) => {
  if (steps[event.key]) zoom.translateBy(surface, ...steps[event.key].map((v) => v / transform.k));
  else if (event.key === "+" || event.key === "=") zoom.scaleBy(surface, 1.6);
  else if (event.key === "-") zoom.scaleBy(surface, 1 / 1.6);
  else if (event.key === "0" || event.key === "Home") zoom.transform(surface, d3.zoomIdentity);
  else if (event.key === "Enter" && chosen) view(chosen.item);
  else return;
  event.preventDefault();
  if (event.key !== "Enter") middle();
});
canvas.addEventListener("pointermove", (event) => event.buttons || choose(event.offsetX, event.offsetY, 24));
canvas.addEventListener("pointerleave", () => choose(-1e6, -1e6, 1));
canvas.addEventListener("click", (event) => {
  const before = chosen;
  choose(event.offsetX, event.offsetY, 24);
  if (chosen && (before === chosen || event.pointerType === "mouse")) view(chosen.item);
});
$("map-in").addEventListener("click", () => move().call(zoom.scaleBy, 1.8));
$("map-out").addEventListener("click", () => move().call(zoom.scaleBy, 1 / 1.8));
$("map-all").addEventListener("click", () => move().call(zoom.transform, d3.zoomIdentity));
for (const id of ["map-color", "map-class"]) $(id).addEventListener("change", group);
dark.addEventListener("change", group);
new ResizeObserver(() => {
  const { clientWidth: width, clientHeight: height } = canvas;
  canvas.width = width * devicePixelRatio;
  canvas.height = height * devicePixelRatio;
  const scale = (Math.min(width / WIDE, height) - 48) / SPACE;
  fit = { scale, x: (width - WIDE * SPACE * scale) / 2, y: (height - SPACE * scale) / 2 };
  zoom.extent([[0, 0], [width, height]]).translateExtent([[-width / 2, -height / 2], [1.5 * width, 1.5 * height]]);
  draw();
}).observe(canvas);
group();
