// The shared dialog: asks before a form with data-confirm is sent. See partials/confirm_dialog.html.
(() => {
  const dialog = document.getElementById("confirm-dialog");
  if (!dialog) return;
  const ok = document.getElementById("confirm-ok");
  const note = document.getElementById("confirm-note");
  const typed = document.getElementById("confirm-typed");
  const typedField = typed.querySelector("input");
  const noteField = note.querySelector("textarea");
  let asked = null;

  const matches = () => !asked.question.confirmTyped || typedField.value === asked.question.confirmTyped;
  const open = (form, submitter, question) => {
    asked = { form, submitter, question, opener: document.activeElement };
    document.getElementById("confirm-title").textContent = question.confirmTitle;
    document.getElementById("confirm-text").textContent = question.confirmText ?? "";
    ok.textContent = question.confirm;
    ok.className = question.confirmTone === "danger" ? "btn btn-danger" : "btn btn-primary";
    note.hidden = !question.confirmNote;
    typed.hidden = !question.confirmTyped;
    typed.querySelector("code").textContent = question.confirmTyped ?? "";
    noteField.value = typedField.value = "";
    ok.disabled = !matches();
    dialog.returnValue = "cancel";
    dialog.showModal();
    (question.confirmTyped ? typedField : question.confirmNote ? noteField : dialog.querySelector("[value=cancel]")).focus();
  };
  const carryNote = (form, name) => {
    if (!name) return;
    const field = form.elements[name] ?? form.appendChild(Object.assign(document.createElement("input"), { type: "hidden", name }));
    field.value = noteField.value;
  };

  typedField.addEventListener("input", () => { ok.disabled = !matches(); });
  typedField.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (matches()) dialog.close("ok");
  });
  dialog.addEventListener("close", () => {
    const { form, submitter, question, opener } = asked;
    opener?.focus();
    if (dialog.returnValue !== "ok" || !matches()) return;
    carryNote(form, question.confirmNote);
    form.dataset.confirmed = "yes";
    form.requestSubmit(submitter);
  });
  // In the capture phase: the question comes before htmx or the busy button see the form go.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const question = event.submitter?.dataset.confirm ? event.submitter.dataset : form.dataset;
    if (!question.confirm) return;
    if (form.dataset.confirmed) {
      delete form.dataset.confirmed;
      return;
    }
    event.preventDefault();
    event.stopImmediatePropagation();
    open(form, event.submitter, question);
  }, true);
})();
