// Toasts: those the page came with, and those an htmx answer sends as HX-Trigger: {"toast": {"level", "text"}}.
(() => {
  const SECONDS_SHOWN = 6;
  const region = document.getElementById("toasts");
  const leaveByItself = (toast) => {
    if (["error", "warning"].includes(toast.dataset.toast)) return;
    let timer;
    const start = () => { timer = setTimeout(() => toast.remove(), SECONDS_SHOWN * 1000); };
    toast.addEventListener("pointerenter", () => clearTimeout(timer));
    toast.addEventListener("pointerleave", start);
    start();
  };
  window.showToast = (level, text) => {
    const template = document.getElementById(`toast-${level}`) ?? document.getElementById("toast-info");
    const toast = template?.content.firstElementChild.cloneNode(true);
    if (!toast) return;
    toast.querySelector(".toast-text").textContent = text;
    region.append(toast);
    leaveByItself(toast);
  };
  document.addEventListener("toast", (event) => window.showToast(event.detail.level, event.detail.text));
  document.addEventListener("click", (event) => event.target.closest("[data-toast-close]")?.closest("[data-toast]").remove());
  region?.querySelectorAll("[data-toast]").forEach(leaveByItself);
})();
