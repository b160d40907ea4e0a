// The console's pages work without this file. It refreshes what is marked data-live, switches the theme, asks before
// what cannot be undone, and protects a form against a double click.
"use strict";

const main = document.getElementById("main");
const connection = document.getElementById("connection");
const REFRESH = { "Console-Refresh": "1" };

function now() { return new Date().toISOString().slice(11, 19); }

// What the server sent last for each live part: what the user opened in it since is no change.
const sent = new Map([...document.querySelectorAll("[data-live]")].map((part) => [part.id, part.innerHTML]));

function openDetails(part) {
  return [...part.querySelectorAll("details")].filter((each) => each.open).map((each) => each.firstElementChild.textContent);
}

// Replaces each live part by its new version, unless the user is at work in it.
function replaceLive(text) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  for (const old of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(old.id);
    if (!next) { location.reload(); return; }
    const html = next.innerHTML;
    if (sent.get(old.id) === html || old.contains(document.activeElement)) continue;
    sent.set(old.id, html);
    const open = openDetails(old);
    old.className = next.className;
    old.replaceChildren(...next.childNodes);
    for (const each of old.querySelectorAll("details")) each.open ||= open.includes(each.firstElementChild.textContent);
  }
  document.title = fresh.title;
  const wait = fresh.getElementById("main")?.dataset.refresh;
  if (wait) main.dataset.refresh = wait; else delete main.dataset.refresh;
}

async function refresh() {
  const reply = await fetch(location.href, { headers: REFRESH, signal: AbortSignal.timeout(15000) });
  if (reply.status === 401) { location.reload(); return; }
  if (!reply.ok && !document.getElementById("message")) throw new Error(String(reply.status));
  if (reply.ok && document.getElementById("message")) { location.reload(); return; }
  if (reply.ok) replaceLive(await reply.text());
  connection.hidden = true;
}

async function keepFresh() {
  let lost = null;
  while (main.dataset.refresh) {
    await new Promise((resolve) => setTimeout(resolve, Number(main.dataset.refresh) * 1000));
    if (document.hidden) continue;
    try {
      await refresh();
      lost = null;
    } catch {
      lost ??= now();
      connection.textContent = `No reply since ${lost}. What you see is from then. Trying again.`;
      connection.hidden = false;
    }
  }
}

function switchTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const shown = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
  const next = shown === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  try { localStorage.setItem("theme", next); } catch { /* for this page only */ }
}

const button = document.getElementById("theme");
button.hidden = false;
button.addEventListener("click", switchTheme);

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.confirm && !confirm(form.dataset.confirm)) { event.preventDefault(); return; }
  if (form.method === "post" && form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "1";
});
// Back to a page from the browser's memory: its forms can be sent again.
addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

// On a phone the row of pages is wider than the screen.
document.querySelector("nav [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });

if (main.dataset.refresh) keepFresh();
