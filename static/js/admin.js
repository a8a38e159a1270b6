// One choice of light or dark for the platform's pages and the admin. Runs before Unfold's script reads its own.
(() => {
  const chosen = localStorage.getItem("theme") || "auto";
  localStorage.setItem("adminTheme", JSON.stringify(chosen));
  new MutationObserver(() => {
    const changed = JSON.parse(localStorage.getItem("adminTheme"));
    if (changed) localStorage.setItem("theme", changed);
  }).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
})();
