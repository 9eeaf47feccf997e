"use strict";
(() => {
  const body = document.querySelector("#rows tbody");
  const form = document.querySelector(".controls");
  const rows = [...body.rows];
  const shown = document.querySelector("#shown");

  function filter() {
    const kinds = new Set([...form.querySelectorAll("[name=kind]:checked")].map((box) => box.value));
    const text = form.elements.text.value.trim().toLowerCase();
    const failed = form.elements.failed.checked;
    let count = 0;
    for (const row of rows) {
      const names = `${row.cells[2].textContent} ${row.cells[3].textContent}`.toLowerCase();
      row.hidden = !kinds.has(row.dataset.kind) || (failed && !row.classList.contains("bad")) || !names.includes(text);
      count += !row.hidden;
    }
    shown.textContent = `${count} of ${rows.length} rows shown.`;
  }

  function value(row, place, kind) {
    const cell = row.cells[place];
    const text = cell.dataset.value ?? cell.textContent;
    return kind === "number" ? (text === "inf" ? Infinity : Number(text)) : text;
  }

  function sort(head) {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const place = head.cellIndex, kind = head.dataset.sort, sign = down ? -1 : 1;
    rows.sort((a, b) => {
      const x = value(a, place, kind), y = value(b, place, kind);
      return sign * (kind === "number" ? (x === y ? 0 : x - y) : x.localeCompare(y, undefined, { numeric: true }));
    });
    body.append(...rows);
  }

  for (const head of document.querySelectorAll("th[data-sort]")) {
    head.tabIndex = 0;
    head.addEventListener("click", () => sort(head));
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(head); });
  }
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();
})();
