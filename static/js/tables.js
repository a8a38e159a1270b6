// Tables: hidden columns are remembered per table, selected rows counted; filters apply as they are chosen.
(() => {
  const key = (table) => `columns:${table.dataset.table}`;
  const hiddenColumns = (table) => new Set(JSON.parse(localStorage.getItem(key(table)) ?? "[]"));
  const cells = (table, index) => table.querySelectorAll(`.data-table tr > :nth-child(${index + 1})`);

  const applyColumns = (table) => {
    const hidden = hiddenColumns(table);
    table.querySelectorAll("thead th").forEach((head, index) => {
      for (const cell of cells(table, index)) cell.hidden = hidden.has(index);
    });
  };
  const fillMenu = (table) => {
    const menu = table.querySelector("[data-columns]");
    const hidden = hiddenColumns(table);
    menu.replaceChildren(...[...table.querySelectorAll("thead th")].slice(1).map((head, position) => {
      const box = Object.assign(document.createElement("input"), { type: "checkbox", className: "form-check-input m-0", checked: !hidden.has(position + 1) });
      box.dataset.column = position + 1;
      const label = Object.assign(document.createElement("label"), { className: "dropdown-item" });
      label.append(box, head.textContent.trim());
      return label;
    }));
  };
  const countSelected = (table) => {
    const counter = table.querySelector("[data-selected-count]");
    const selected = table.querySelectorAll("[data-select]:checked").length;
    counter.hidden = !selected;
    counter.textContent = counter.dataset.words.replace("{n}", selected);
    for (const button of document.querySelectorAll(`[data-needs-selection="${table.dataset.table}"]`)) button.disabled = !selected;
  };
  const prepare = () => document.querySelectorAll("[data-table]").forEach((table) => {
    applyColumns(table);
    if (!table.querySelector("[data-columns].show")) fillMenu(table);
    countSelected(table);
  });

  document.addEventListener("change", (event) => {
    const table = event.target.closest("[data-table]");
    if (event.target.matches("[data-column]")) {
      const hidden = hiddenColumns(table);
      hidden[event.target.checked ? "delete" : "add"](Number(event.target.dataset.column));
      localStorage.setItem(key(table), JSON.stringify([...hidden]));
      applyColumns(table);
    }
    if (event.target.matches("[data-select-all]")) {
      for (const box of table.querySelectorAll("[data-select]")) box.checked = event.target.checked;
    }
    if (event.target.matches("[data-select], [data-select-all]")) countSelected(table);
    if (event.target.matches("[data-filter-bar] select")) event.target.form.requestSubmit();
  });
  // Empty filters stay out of the address.
  document.addEventListener("formdata", (event) => {
    if (!event.target.matches("[data-filter-bar]")) return;
    for (const [name, value] of [...event.formData]) if (!value) event.formData.delete(name);
  });
  document.addEventListener("htmx:afterSwap", prepare);
  prepare();
})();
