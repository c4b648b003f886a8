"use strict";
// Draws /openapi.json and lets its operations be tried. No markup is ever made from text.
const main = document.getElementById("operations");
const keyField = document.getElementById("key");
let spec;

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function schemaOf(operation) {
  const ref = operation.requestBody?.content["application/json"].schema.$ref;
  return ref ? spec.components.schemas[ref.split("/").pop()] : null;
}

function example(schema, path) {
  if (path.endsWith("/chat/completions")) return { model: "", messages: [{ role: "user", content: "Hello" }] };
  if (path.endsWith("/messages")) return { model: "", max_tokens: 256, messages: [{ role: "user", content: "Hello" }] };
  return Object.fromEntries((schema.required || []).map((name) => [name, ""]));
}

function fields(schema) {
  const rows = Object.entries(schema.properties || {}).map(([name, about]) => {
    const type = [].concat(about.type || "any").join(" or ");
    return element("tr", {}, element("th", {}, name), element("td", {}, about.description ? `${type}; ${about.description}` : type));
  });
  return element("table", {}, ...rows);
}

async function send(method, path, operation, inputs, bodyField, out) {
  const query = new URLSearchParams();
  let url = path;
  for (const { name, where, node } of inputs) {
    if (!node.value) continue;
    if (where === "path") url = url.replace(`{${name}}`, encodeURIComponent(node.value));
    else query.set(name, node.value);
  }
  if ([...query].length) url += `?${query}`;
  const headers = {};
  if (keyField.value) headers.Authorization = `Bearer ${keyField.value}`;
  if (bodyField) headers["Content-Type"] = "application/json";
  const status = element("p", { class: "status" }, "…");
  const text = element("pre", { tabindex: "0" });
  out.replaceChildren(status, text);
  try {
    const answer = await fetch(url, { method: method.toUpperCase(), headers, body: bodyField ? bodyField.value : undefined });
    status.textContent = `${answer.status} ${answer.statusText}`;
    status.classList.toggle("bad", !answer.ok);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) text.textContent += piece.value;
    try { text.textContent = JSON.stringify(JSON.parse(text.textContent), null, 2); } catch { /* a stream or plain text */ }
  } catch (error) {
    status.textContent = `no answer: ${error.message}`;
    status.classList.add("bad");
  }
}

function inside(method, path, operation) {
  const inputs = [];
  const box = element("div", { class: "inside" }, element("p", { class: "note" }, operation.description));
  if (operation.parameters.length) {
    const rows = operation.parameters.map((parameter) => {
      const node = element("input", { "aria-label": parameter.name });
      inputs.push({ name: parameter.name, where: parameter.in, node });
      const about = element("td", {}, parameter.description || "", node);
      return element("tr", {}, element("th", {}, parameter.name), about);
    });
    box.append(element("table", {}, ...rows));
  }
  const schema = schemaOf(operation);
  let bodyField = null;
  if (schema) {
    bodyField = element("textarea", { "aria-label": "body", spellcheck: "false" });
    bodyField.value = JSON.stringify(example(schema, path), null, 2);
    box.append(fields(schema), bodyField);
  }
  const button = element("button", { type: "button" }, "Send");
  const out = element("div");
  button.addEventListener("click", async () => {
    button.disabled = true;
    await send(method, path, operation, inputs, bodyField, out);
    button.disabled = false;
  });
  box.append(button, out);
  return box;
}

function draw(found) {
  const groups = new Map();
  for (const [path, methods] of Object.entries(spec.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const text = `${method} ${path} ${operation.summary}`.toLowerCase();
      if (!text.includes(found)) continue;
      const item = element("details", {},
        element("summary", {},
          element("span", { class: `method ${method}` }, method),
          element("span", { class: "path" }, path),
          element("span", { class: "summary" }, operation.summary)));
      item.addEventListener("toggle", () => {
        if (item.open && item.children.length === 1) item.append(inside(method, path, operation));
      });
      const tag = operation.tags[0];
      groups.set(tag, [...(groups.get(tag) || []), item]);
    }
  }
  const sections = [...groups].map(([tag, items]) => element("section", {}, element("h2", {}, tag), ...items));
  main.replaceChildren(...(sections.length ? sections : [element("p", { class: "note" }, "Nothing matches.")]));
}

document.getElementById("find").addEventListener("input", (event) => draw(event.target.value.trim().toLowerCase()));
fetch("/openapi.json").then((answer) => answer.json()).then((document_) => {
  spec = document_;
  draw("");
}).catch((error) => {
  main.replaceChildren(element("p", { class: "status bad" }, `/openapi.json could not be read: ${error.message}`));
});
