/* Tables of a report: sort by a column, filter rows, open long ones; labels of plots at the pointer.
   Without scripts every row is shown, in the order of its verb. */
"use strict";

function tableOf(section) {
  const table = section.querySelector("table");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const first = Number(table.dataset.first);
  const box = section.querySelector("input");
  const count = section.querySelector(".count");
  const more = section.querySelector(".more");
  let open = rows.length <= first;

  function text(row) {
    /* The whole name of one that is cut stands in its title. */
    const cut = [...row.querySelectorAll("[title]")].map((part) => part.title);
    return [row.textContent, ...cut].join(" ").toLowerCase();
  }

  function show() {
    const wanted = box ? box.value.trim().toLowerCase() : "";
    let found = 0;
    for (const row of body.rows) {
      const fits = wanted === "" || text(row).includes(wanted);
      found += fits;
      row.hidden = !fits || (!open && wanted === "" && found > first);
    }
    if (count) {
      count.textContent =
        wanted === "" ? `${rows.length} rows` : `${found} of ${rows.length} rows`;
    }
    if (more) more.hidden = open || wanted !== "";
  }

  function value(row, at, number) {
    const cell = row.cells[at];
    if (number) return cell.dataset.v === undefined ? null : Number(cell.dataset.v);
    return cell.querySelector(".none") ? null : cell.textContent;
  }

  function sort(head) {
    const number = head.dataset.kind === "number";
    const now = head.getAttribute("aria-sort");
    const down = now === "none" ? number : now === "ascending";
    for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const keyed = rows.map((row) => [value(row, head.cellIndex, number), row]);
    keyed.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null); /* empty cells last */
      const order = number ? a - b : a.localeCompare(b);
      return down ? -order : order;
    });
    body.append(...keyed.map(([, row]) => row));
    show();
  }

  for (const head of table.tHead.rows[0].cells) {
    head.querySelector("button").addEventListener("click", () => sort(head));
  }
  if (box) {
    box.parentElement.hidden = false;
    box.addEventListener("input", show);
  }
  if (more) more.addEventListener("click", () => { open = true; show(); });
  show();
}

function labelsOf(figure) {
  const shown = document.createElement("div");
  shown.className = "tip";
  shown.hidden = true;
  figure.append(shown);
  figure.addEventListener("pointermove", (event) => {
    const mark = event.target.closest("[role=graphics-symbol][aria-label]");
    const label = mark && mark.closest(".mark-group.role-axis, .role-legend") === null;
    shown.hidden = !label;
    if (!label) return;
    shown.textContent = mark.getAttribute("aria-label").split("; ").join("\n");
    const place = figure.getBoundingClientRect();
    const left = Math.min(event.clientX - place.left + 12, place.width - shown.offsetWidth);
    shown.style.left = `${Math.max(left, 0)}px`;
    shown.style.top = `${event.clientY - place.top + 14}px`;
  });
  figure.addEventListener("pointerleave", () => { shown.hidden = true; });
}

document.querySelectorAll("section.table").forEach(tableOf);
document.querySelectorAll("figure.plot").forEach(labelsOf);
