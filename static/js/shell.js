// The frame: navigation, keyboard shortcuts, copying, busy buttons, relative times.
(() => {
  const root = document.documentElement;
  const words = document.body.dataset;

  // Navigation: collapsed on wide screens (remembered), sliding in on narrow ones.
  const collapseButton = document.querySelector("[data-nav-collapse]");
  const openButton = document.querySelector("[data-nav-open]");
  const showCollapsed = () => collapseButton?.setAttribute("aria-pressed", String(root.dataset.nav === "collapsed"));
  const setOpen = (open) => {
    root.classList.toggle("nav-open", open);
    openButton?.setAttribute("aria-expanded", String(open));
    if (open) document.querySelector("#sidebar a")?.focus();
    else openButton?.focus();
  };
  showCollapsed();
  collapseButton?.addEventListener("click", () => {
    root.dataset.nav = root.dataset.nav === "collapsed" ? "open" : "collapsed";
    localStorage.setItem("navigation", root.dataset.nav);
    showCollapsed();
  });
  openButton?.addEventListener("click", () => setOpen(true));
  for (const closer of document.querySelectorAll("[data-nav-close]")) closer.addEventListener("click", () => setOpen(false));

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && root.classList.contains("nav-open")) setOpen(false);
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const field = document.querySelector(`[data-shortcut="${CSS.escape(event.key)}"]`);
    if (!field) return;
    event.preventDefault();
    field.focus();
    field.select();
  });

  // Copying. The Clipboard API needs HTTPS or localhost; elsewhere a selection does it.
  const copy = async (text) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const area = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy], [data-copy-next]");
    if (!button) return;
    await copy(button.dataset.copy ?? button.closest(".code-block").querySelector("code").textContent);
    window.showToast("success", words.copied);
  });

  // A button that started something is disabled and says so; the page shown again by "back" is usable again.
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    const button = event.target.querySelector("button[data-busy]");
    if (!button) return;
    button.dataset.idle = button.innerHTML;
    button.textContent = button.dataset.busy;
    button.setAttribute("aria-busy", "true");
    setTimeout(() => { button.disabled = true; });
  });
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const button of document.querySelectorAll("button[aria-busy]")) {
      button.innerHTML = button.dataset.idle;
      button.disabled = false;
      button.removeAttribute("aria-busy");
    }
  });

  // Relative times go on; the tooltip is exact and in the reader's own time zone.
  const steps = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60]];
  const relative = new Intl.RelativeTimeFormat(root.lang);
  const exact = new Intl.DateTimeFormat(root.lang, { dateStyle: "medium", timeStyle: "long" });
  // Times of a clock are written once, in the reader's own time zone: the server only knows its own.
  const clocks = {
    minute: new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" }),
    millisecond: new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 }),
  };
  const tellClocks = () => {
    for (const time of document.querySelectorAll("time[data-clock]")) {
      const moment = new Date(time.dateTime);
      const text = clocks[time.dataset.clock].format(moment);
      if (time.textContent !== text) time.textContent = text;
      time.title = exact.format(moment);
    }
  };
  const tellTimes = () => {
    tellClocks();
    for (const time of document.querySelectorAll("time[data-relative]")) {
      const moment = new Date(time.dateTime);
      const seconds = (Date.now() - moment) / 1000;
      const step = steps.find(([, size]) => seconds >= size);
      if (seconds > -60) {
        const text = step ? relative.format(-Math.floor(seconds / step[1]), step[0]) : words.justNow;
        if (time.textContent !== text) time.textContent = text;
      }
      time.title = exact.format(moment);
    }
  };
  if (words.justNow) {
    tellTimes();
    setInterval(tellTimes, 20000);
    document.addEventListener("htmx:afterSettle", tellTimes);
  }
})();
