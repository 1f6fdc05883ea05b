// Tables that sort by a click on a heading (or Enter and Space: the headings are buttons) and filter by words.
const collator = new Intl.Collator("en", {numeric: true, sensitivity: "base"});

function sortTable(table, column, direction) {
  const numeric = table.tHead.rows[0].cells[column].dataset.type === "number";
  const body = table.tBodies[0];
  const keyed = [...body.rows].map((row) => {
    const value = row.cells[column].dataset.v;
    return {row, value: numeric && value !== "" ? Number(value.replace("inf", "Infinity")) : value};
  });
  const sign = direction === "descending" ? -1 : 1;
  keyed.sort((a, b) => {
    if (a.value === "" || b.value === "") return (a.value === "") - (b.value === ""); // missing: last, either way
    return sign * (numeric ? a.value - b.value || 0 : collator.compare(a.value, b.value));
  });
  body.append(...keyed.map((entry) => entry.row));
  for (const [k, cell] of [...table.tHead.rows[0].cells].entries()) {
    if (k === column) cell.setAttribute("aria-sort", direction);
    else cell.removeAttribute("aria-sort");
  }
}

for (const table of document.querySelectorAll("table[data-sortable]")) {
  for (const [column, cell] of [...table.tHead.rows[0].cells].entries()) {
    cell.querySelector("button").addEventListener("click", () => {
      const now = cell.getAttribute("aria-sort");
      sortTable(table, column, now === "ascending" ? "descending" : "ascending");
    });
  }
}

for (const field of document.querySelectorAll("input[data-filter]")) {
  const table = byId(field.dataset.filter);
  const count = field.parentElement.querySelector("output");
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = [...table.tBodies[0].rows];
    for (const row of rows) {
      const text = [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
    const shown = rows.filter((row) => !row.hidden).length;
    count.textContent = shown < rows.length ? `${shown} of ${rows.length} rows` : `${shown} rows`;
  });
}
