// The browsable API: sends its forms as any client would, and shows what was answered below the form.
const csrf = JSON.parse(document.body.getAttribute("hx-headers") || "{}")["X-CSRFToken"] || "";

function valueOf(input) {
  if (input.dataset.kind !== "json") return input.value;
  try {
    return JSON.parse(input.value);
  } catch {
    return input.value; // the server says what is wrong with it
  }
}

// Only what was filled in: an empty field is one that is not sent.
function fieldsOf(form) {
  const inputs = [...form.elements].filter((input) => input.name && input.value !== "");
  return Object.fromEntries(inputs.map((input) => [input.name, valueOf(input)]));
}

function requestOf(form) {
  const { method, url } = form.dataset;
  if ("upload" in form.dataset) {
    const path = form.elements.path.value.split("/").map(encodeURIComponent).join("/");
    return [url + path, { method, body: form.elements.file.files[0] }, "application/octet-stream"];
  }
  if ("raw" in form.dataset) {
    return [url, { method, body: form.elements.body.value }, form.elements.media_type?.value || "application/json"];
  }
  if ("fields" in form.dataset) {
    return [url, { method, body: JSON.stringify(fieldsOf(form)) }, "application/json"];
  }
  return [url, { method }, null];
}

async function send(form) {
  const [url, request, mediaType] = requestOf(form);
  request.headers = { Accept: "application/json", "X-CSRFToken": csrf };
  if (mediaType) request.headers["Content-Type"] = mediaType;
  const response = await fetch(url, request);
  const text = await response.text();
  return { line: `${request.method} ${url}`, status: `${response.status} ${response.statusText}`, ok: response.ok, text };
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function show(place, answer) {
  const head = document.createElement("div");
  const status = document.createElement("span");
  head.className = "api-result-head";
  status.className = answer.ok ? "api-status" : "api-status api-refused";
  status.textContent = answer.status;
  head.append(answer.line, " ", status);
  const body = document.createElement("pre");
  body.textContent = pretty(answer.text);
  place.replaceChildren(head, body);
  place.hidden = false;
  place.scrollIntoView({ block: "nearest" });
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if ("dropEmpty" in form.dataset) {
    // Parameters that are not filled in would be told back in the address.
    for (const input of form.elements) if (input.value === "") input.disabled = true;
    return;
  }
  if (!("apiForm" in form.dataset)) return;
  event.preventDefault();
  const button = form.querySelector("[type=submit]");
  const place = form.closest("[data-api-panel]").querySelector("[data-api-result]");
  button.disabled = true;
  try {
    show(place, await send(form));
  } catch (error) {
    show(place, { line: form.dataset.url, status: String(error), ok: false, text: "" });
  } finally {
    button.disabled = false;
  }
});

// Back from another page, the form is as it was: its inputs must take input again.
window.addEventListener("pageshow", () => {
  for (const input of document.querySelectorAll("[data-drop-empty] :disabled")) input.disabled = false;
});
