// Tables sort by the column whose heading is pressed, first the greatest, then the smallest.

for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => heading.querySelector("button")?.addEventListener("click", () => {
    const descending = heading.ariaSort !== "descending";
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.ariaSort = descending ? "descending" : "ascending";
    const key = ({ cells: own }) => Number(own[column].querySelector("data")?.value ?? Number.parseFloat(own[column].textContent));
    const known = (row) => (Number.isNaN(key(row)) ? -Infinity : key(row));
    const sorted = [...table.tBodies[0].rows].sort((a, b) => (descending ? known(b) - known(a) : known(a) - known(b)));
    table.tBodies[0].append(...sorted);
  }));
}
