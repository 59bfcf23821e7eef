// The wall of queries.
const STEP = 20;
let wallRows = [], wallShown = 0;

function wallEntry(row) {
  const item = data.wall.queries[row], name = className(item);
  const places = data.wall.places[row];
  const first = places.findIndex((place) => data.labels[place] === data.labels[item]);
  const words = first === 0 ? "first answer right" : first < 0 ? `no right one of ${places.length}` : `right at rank ${first + 1}`;
  const text = element("div", {}, element("strong", {}, name), element("span", { class: "quiet" }, words));
  const query = element("div", { class: "query" }, picture(item, { label: `Query: ${name}, ${data.titles[item]}. Show it.` }), text);
  return element("li", {}, query, neighborsOf(row, false));
}

function showMore() {
  const next = wallRows.slice(wallShown, wallShown + STEP);
  $("wall").append(...next.map(wallEntry));
  wallShown += next.length;
  const plural = wallRows.length === 1 ? "query" : "queries";
  $("wall-count").textContent = `${wallShown} of ${wallRows.length.toLocaleString("en")} ${plural}`;
  $("wall-more").hidden = wallShown >= wallRows.length;
}

function filterWall() {
  const wanted = Number($("wall-class").value), kind = $("wall-kind").value;
  wallRows = data.wall.queries.map((_, row) => row).filter((row) => {
    const label = data.labels[data.wall.queries[row]];
    const isRight = data.labels[data.wall.places[row][0]] === label;
    return (wanted < 0 || label === wanted) && (kind === "all" || (kind === "right") === isRight);
  });
  wallShown = 0;
  $("wall").replaceChildren();
  showMore();
}

for (const id of ["wall-class", "wall-kind"]) $(id).addEventListener("change", filterWall);
$("wall-more").addEventListener("click", showMore);
filterWall();
