// The search page: sends a photograph to /search and shows the answer.
// Text from the gallery is only ever set as textContent, so names can't become markup.

const at = (id) => document.getElementById(id);
const two = (number) => number.toFixed(2);
let about = {};
let picture = null; // the photograph that was searched last
let request = null; // what aborts the search that runs

function fill(id, text) {
  at(id).textContent = text ?? "";
  at(id).hidden = !text;
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. It may have been stopped.");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  if (response.status === 401) location.reload();
  throw new Error(typeof answer.detail === "string" ? answer.detail : `Error ${response.status}.`);
}

async function describe() {
  about = await ask("about");
  at("title").textContent = document.title = about.title;
  const items = `${about.num_items.toLocaleString("en")} items`;
  const none = `${items} · no threshold, so "unknown" can't be decided`;
  at("about").textContent =
    about.threshold === null ? none : `${items} · known from a similarity of ${two(about.threshold)}`;
  fill("warning", about.warning);
}

function preview(file) {
  const image = at("preview");
  if (image.src) URL.revokeObjectURL(image.src);
  image.onload = () => { image.hidden = false; };
  image.onerror = () => { image.hidden = true; }; // such as HEIC, which the server may read
  image.src = URL.createObjectURL(file);
  document.body.classList.add("searched");
}

function clear() {
  for (const id of ["problem", "kind", "name", "detail"]) fill(id, "");
  at("meter").hidden = true;
}

async function search(file) {
  request?.abort();
  const own = (request = new AbortController());
  picture = file;
  clear();
  preview(file);
  const results = document.querySelector(".results");
  results.setAttribute("aria-busy", "true");
  fill("detail", "Searching…");
  try {
    if (file.size > about.max_bytes) {
      throw new Error(`The picture is too large: ${Math.floor(about.max_bytes / 2 ** 20)} MiB are allowed.`);
    }
    const body = new FormData();
    body.append("image", file, file.name || "pasted");
    body.append("k", at("count").value);
    show(await ask("search", { method: "POST", body, signal: own.signal }));
  } catch (error) {
    if (own.signal.aborted) return; // another search has begun
    clear();
    at("hits").replaceChildren();
    fill("problem", error.message);
  } finally {
    if (own === request) results.setAttribute("aria-busy", "false");
  }
}

function show(answer) {
  showVerdict(answer);
  fill("warning", answer.warning);
  at("empty").hidden = answer.hits.length > 0;
  at("empty").textContent = "No item was found.";
  at("hits").replaceChildren(...answer.hits.map(card));
}

function showVerdict({ known, label, nearest_label: nearest, similarity, threshold }) {
  const kinds = { true: "Known", false: "Unknown", null: "Nearest" };
  at("kind").className = `kind ${{ true: "known", false: "unknown", null: "" }[known]}`;
  if (similarity === null) {
    fill("detail", "The nearest items have no label.");
    return;
  }
  fill("kind", kinds[known]);
  fill("name", known === false ? "Unknown" : String(label ?? nearest));
  at("kind").hidden = known === false; // the name says so
  at("name").classList.toggle("unknown", known === false);
  const meter = at("meter");
  const percent = (number) => `${Math.min(100, Math.max(0, number * 100))}%`;
  meter.hidden = false;
  meter.style.setProperty("--value", percent(similarity));
  meter.style.setProperty("--threshold", percent(threshold ?? 0));
  meter.querySelector(".mark").hidden = threshold === null;
  const limit = threshold === null ? "" : two(threshold);
  fill("detail", {
    true: `Similarity ${two(similarity)}. A known picture has ${limit} or more.`,
    false: `The nearest is ${nearest} with ${two(similarity)}. A known picture has ${limit} or more.`,
    null: `Similarity ${two(similarity)}. The gallery has no threshold, so the page can't tell ` +
      "whether the picture is known. Call calibrate on the gallery.",
  }[known]);
}

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function nameOf(hit) {
  return hit.label === null ? String(hit.id).split("/").at(-1) : String(hit.label);
}

function card(hit, place) {
  const item = document.createElement("li");
  const button = element("button", "card", "");
  button.type = "button";
  button.append(
    thumbnail(hit),
    element("span", "spoken", `${place + 1}.`), // for screen readers
    element("span", "label", nameOf(hit)),
    element("span", "spoken", "similarity"),
    element("span", "score", two(hit.similarity)),
  );
  button.addEventListener("click", () => enlarge(hit));
  item.append(button);
  return item;
}

function thumbnail(hit) {
  const blank = element("span", "blank", "no picture");
  if (hit.thumbnail === null) return blank;
  const image = document.createElement("img");
  image.alt = "";
  image.addEventListener("error", () => image.replaceWith(blank));
  image.src = hit.thumbnail;
  return image;
}

function enlarge(hit) {
  const image = at("dialog-picture");
  image.hidden = hit.thumbnail === null;
  if (hit.thumbnail !== null) image.src = `${hit.thumbnail}?size=large`;
  image.alt = nameOf(hit);
  at("dialog-name").textContent = nameOf(hit);
  const facts = { similarity: hit.similarity.toFixed(4), id: hit.id, ...hit.metadata };
  at("dialog-facts").replaceChildren(
    ...Object.entries(facts).flatMap(([name, value]) => [
      element("dt", "", name), element("dd", "", String(value)),
    ]),
  );
  at("dialog").showModal();
}

function searchFirst(files) {
  const [file] = files;
  if (file) {
    search(file);
  } else {
    fill("problem", "That is no file. Save the picture first, and drop the file.");
  }
}

for (const id of ["file", "camera"]) {
  at(id).addEventListener("change", (event) => {
    if (event.target.files.length) searchFirst(event.target.files);
    event.target.value = ""; // the same file may be chosen again
  });
}
at("count").addEventListener("change", () => picture && search(picture));
at("dialog").addEventListener("click", (event) => {
  if (event.target === at("dialog")) at("dialog").close(); // beside it
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) searchFirst(event.clipboardData.files);
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dragging");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  searchFirst(event.dataTransfer.files);
});
describe().catch((error) => fill("problem", error.message));
