// Keeps a page live: takes its changing parts and puts in what is different, node by node, so that focus,
// selection, scrolling and typed text stay. A server that can push says where, in data-events; of others, and
// while that fails, the page asks. Without this script a page works by links and forms.
"use strict";

const INTERVAL_MS = 2000;
// The agent itself waits at most 3.5 s for a slow Engine.
const TIMEOUT_MS = 8000;
const TYPING_PAUSE_MS = 150;
// A server that pushes is silent for 15 s at most.
const SILENCE_MS = 40000;
// So long a page asks where pushing was refused, before it tries that again.
const REFUSED_MS = 30000;

const root = document.documentElement;
const form = document.getElementById("filter");
const lost = document.getElementById("lost");
const main = document.getElementById("content");
const who = main.dataset.who || "The agent";
const sections = [...document.querySelectorAll("section[data-live]")].map((each) => each.id);
let paused = false;
let timer = 0;
let newest = 0;
let lastAnswer = new Date();
let stream = null;
let silence = 0;
let refusedUntil = 0;

function morph(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
    old.replaceWith(fresh);
  } else if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
  } else if (!old.isEqualNode(fresh) && old.id !== "live") {
    morphAttributes(old, fresh);
    morphChildren(old, fresh);
  }
}

// What somebody has unfolded stays unfolded.
function isTheirs(element, name) {
  return element.nodeName === "DETAILS" && name === "open";
}

function morphAttributes(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !isTheirs(old, name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
}

// Children with an id (the rows) are moved rather than rewritten: a focused or selected row stays itself.
function morphChildren(old, fresh) {
  const wanted = new Set([...fresh.children].map((each) => each.id));
  for (const each of [...old.children]) if (each.id && !wanted.has(each.id)) each.remove();
  const named = new Map([...old.children].filter((each) => each.id).map((each) => [each.id, each]));
  let at = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const same = child.id ? named.get(child.id) : at && !at.id ? at : null;
    if (!same) {
      old.insertBefore(child, at);
    } else {
      if (same === at) at = at.nextSibling;
      else old.insertBefore(same, at);
      morph(same, child);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function refresh() {
  clearTimeout(timer);
  if (main.dataset.events && Date.now() >= refusedUntil) listen();
  else ask();
}

// One stream for each address; the browser itself connects anew when it breaks.
function listen() {
  hangUp();
  const address = new URL(main.dataset.events, location.href);
  address.searchParams.set("view", location.pathname.split("/").pop() + location.search);
  const mine = stream = new EventSource(address);
  mine.addEventListener("fragment", (event) => {
    try { take(event.data); } catch (error) { sayLost(error); }
    hear();
  });
  mine.addEventListener("alive", hear);
  mine.addEventListener("error", () => {
    if (mine !== stream) return;
    sayLost(new Error(""));
    if (mine.readyState === EventSource.CLOSED) refuse();
    plan();
  });
  hear();
  plan();
}

function hear() {
  clearTimeout(silence);
  silence = setTimeout(() => { sayLost(new Error("it has fallen silent")); listen(); }, SILENCE_MS);
}

function hangUp() {
  clearTimeout(silence);
  if (stream) stream.close();
  stream = null;
}

function refuse() {
  hangUp();
  refusedUntil = Date.now() + REFUSED_MS;
}

function take(text) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  if (!sections.every((id) => fresh.getElementById(id))) throw new Error("something else answers at its address");
  show(fresh);
  plan();
}

async function ask() {
  const turn = ++newest;
  try {
    const address = new URL(location.href);
    address.hash = "";
    address.searchParams.set("fragment", "1");
    const answer = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!answer.ok) throw new Error(`it answers with status ${answer.status}`);
    const text = await answer.text();
    // An answer that a later question has overtaken is out of date.
    if (turn === newest) take(text);
  } catch (error) {
    if (turn === newest) sayLost(error);
  }
  if (turn === newest) plan();
}

function show(fresh) {
  for (const id of sections) morph(document.getElementById(id), fresh.getElementById(id));
  document.title = document.querySelector("[data-title]").dataset.title;
  lastAnswer = new Date();
  lost.hidden = true;
  root.classList.remove("lost");
}

function sayLost(error) {
  const reason = error.message.startsWith("it ") || error.message.startsWith("something") ? ` (${error.message})` : "";
  const since = lastAnswer.toISOString().slice(11, 19);
  const text = `${who} has not answered since ${since} UTC${reason}. Everything below is from then. ` +
    "Trying again every 2 seconds; on its host, ask compose-agent health.";
  if (lost.textContent !== text) lost.textContent = text;
  lost.hidden = false;
  root.classList.add("lost");
}

function plan() {
  clearTimeout(timer);
  if (paused || document.hidden) hangUp();
  else if (!stream) timer = setTimeout(refresh, INTERVAL_MS);
  const live = document.getElementById("live");
  live.dataset.state = paused ? "paused" : root.classList.contains("lost") ? "lost" : "live";
  live.firstChild.nodeValue = paused ? "paused " : root.classList.contains("lost") ? "no answer " : "live ";
  live.lastChild.textContent = paused ? "Resume" : "Pause";
}

function go(query, remember) {
  history[remember ? "pushState" : "replaceState"](null, "", query || "?");
  matchForm();
  refresh();
}

// The form shows what the address says, but never overwrites what somebody is typing. A field whose default
// is not the empty text has it as data-default; hidden fields are sent when they say something.
function matchForm() {
  const asked = new URLSearchParams(location.search);
  for (const field of form.querySelectorAll("[name]")) {
    const value = asked.get(field.name) || field.dataset.default || "";
    if (field.nodeName === "SELECT" && ![...field.options].some((each) => each.value === value)) {
      field.add(new Option(value.replace("-", ""), value));
    }
    if (field !== document.activeElement || field.type !== "search") field.value = value;
    if (field.type === "hidden") field.disabled = !value;
  }
}

function fromForm(remember) {
  const wanted = new URLSearchParams(new FormData(form));
  for (const field of form.querySelectorAll("[name]")) {
    if (wanted.get(field.name) === (field.dataset.default || "")) wanted.delete(field.name);
  }
  go(`?${wanted}`, remember);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-view]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const asked = new URL(link.href).searchParams;
  for (const field of form.querySelectorAll("input[type=search]")) if (!asked.has(field.name)) field.value = "";
  go(link.getAttribute("href"), true);
});
document.addEventListener("visibilitychange", () => (document.hidden || paused ? plan() : refresh()));
window.addEventListener("popstate", () => { matchForm(); refresh(); });
form.addEventListener("submit", (event) => { event.preventDefault(); fromForm(true); });
form.addEventListener("change", (event) => { if (event.target.nodeName === "SELECT") fromForm(true); });
let typing = 0;
form.addEventListener("input", (event) => {
  if (event.target.type !== "search") return;
  clearTimeout(typing);
  typing = setTimeout(() => fromForm(false), TYPING_PAUSE_MS);
});

const button = document.createElement("button");
button.type = "button";
button.addEventListener("click", () => { paused = !paused; if (paused) plan(); else refresh(); });
document.getElementById("live").append("live ", button);
root.classList.add("js");
if (main.dataset.events) refresh();
else plan();
