// Log viewers: search marks and filters, follow keeps the end in view until somebody scrolls up.
(() => {
  const atEnd = (list) => list.scrollHeight - list.scrollTop - list.clientHeight < 24;
  const follow = (viewer) => viewer.querySelector("[data-log-follow]");
  const isFollowing = (viewer) => follow(viewer).getAttribute("aria-pressed") === "true";
  const toEnd = (viewer) => {
    const list = viewer.querySelector("[data-log-lines]");
    list.scrollTop = list.scrollHeight;
  };

  const mark = (element, text, wanted) => {
    element.replaceChildren();
    let from = 0;
    for (let at = text.toLowerCase().indexOf(wanted); wanted && at >= 0; at = text.toLowerCase().indexOf(wanted, from)) {
      element.append(text.slice(from, at), Object.assign(document.createElement("mark"), { textContent: text.slice(at, at + wanted.length) }));
      from = at + wanted.length;
    }
    element.append(text.slice(from));
  };
  const search = (viewer) => {
    const wanted = viewer.querySelector("[data-log-search]").value.trim().toLowerCase();
    const lines = [...viewer.querySelectorAll(".log-line")];
    let shown = 0;
    for (const line of lines) {
      const text = line.querySelector(".log-text");
      line.hidden = Boolean(wanted) && !text.textContent.toLowerCase().includes(wanted);
      shown += line.hidden ? 0 : 1;
      if (!line.hidden && (wanted || text.querySelector("mark"))) mark(text, text.textContent, wanted);
    }
    const matches = viewer.querySelector("[data-log-matches]");
    matches.textContent = wanted ? matches.dataset.words.replace("{n}", shown).replace("{all}", lines.length) : "";
  };
  const prepare = (viewer) => {
    if (viewer.dataset.prepared) return;
    viewer.dataset.prepared = "yes";
    const list = viewer.querySelector("[data-log-lines]");
    list.addEventListener("scroll", () => follow(viewer).setAttribute("aria-pressed", String(atEnd(list))));
    follow(viewer).addEventListener("click", () => toEnd(viewer));
    viewer.querySelector("[data-log-search]").addEventListener("input", () => search(viewer));
    toEnd(viewer);
  };
  const refresh = () => document.querySelectorAll("[data-log]").forEach((viewer) => {
    prepare(viewer);
    if (viewer.querySelector("[data-log-search]").value) search(viewer);
    if (isFollowing(viewer)) toEnd(viewer);
  });
  document.addEventListener("htmx:afterSettle", refresh);
  refresh();
})();
