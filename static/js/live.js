// Live parts: what a refresh must leave alone, and what people see when the server cannot be reached.
(() => {
  const isOpenMenu = (node) => node.matches("[data-keep]") || node.querySelector(":scope > .dropdown-menu.show");
  Object.assign(Idiomorph.defaults, { ignoreActiveValue: true });
  Object.assign(Idiomorph.defaults.callbacks, {
    beforeNodeMorphed: (node, fresh) => {
      if (node.nodeType !== Node.ELEMENT_NODE) return true;
      if (node.id !== (fresh.id ?? "")) return true;
      if (node.matches("[data-keep-children]")) return false;
      return !isOpenMenu(node);
    },
    beforeAttributeUpdated: (name, node) => !(name === "open" && node.matches("details, dialog")),
  });

  const lost = document.getElementById("connection-lost");
  const setLost = (isLost) => { if (lost) lost.hidden = !isLost; };
  document.addEventListener("htmx:sendError", () => setLost(true));
  document.addEventListener("htmx:afterRequest", (event) => {
    const status = event.detail.xhr?.status ?? 0;
    const polls = event.detail.elt.getAttribute("hx-trigger")?.startsWith("every");
    if (status && status < 500) setLost(false);
    if (status >= 500 && polls) setLost(true);
    if (status === 401) location.reload();
    if (status >= 400 && !polls) window.showToast("error", document.body.dataset.refused);
  });
})();
