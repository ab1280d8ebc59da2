// Only to improve: every page works without this.
"use strict";

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
    button.querySelector("span").textContent = button.dataset.done;
  });
}

// Parts that are marked data-live read themselves again when the server says that something has changed, or, where
// there is no stream, every fifteen seconds. It can be paused; what changed is said to screen readers, politely.
document.documentElement.classList.add("scripted");
const bar = document.querySelector(".live");
const parts = () => [...document.querySelectorAll("[data-live]")];
const PAUSED = "tidemark-paused", POLL = 15000, FRESH = 60000;

if (bar && parts().length) {
  const button = bar.querySelector("button"), label = button.querySelector("span"), status = bar.querySelector("p");
  const running = label.textContent;
  let stream = null, timer = 0, reading = false, again = false, ended = false;

  // What a row says: "Hotel Adria: Silent".
  const ROWS = "tbody tr, .needs li, .note";
  const word = (row) => {
    const name = row.querySelector("th, a, strong"), badge = row.querySelector(".badge");
    const said = (name || row).textContent.trim();
    return badge && name ? `${said}: ${badge.textContent.trim()}` : said;
  };

  const swap = (old, fresh) => {
    if (old.innerHTML === fresh.innerHTML) return [];
    const held = document.activeElement;
    if (old.contains(held) && held.matches("input, select, textarea")) return [];
    const before = new Set([...old.querySelectorAll(ROWS)].map(word)), place = old.contains(held) ? held.getAttribute("href") || held.textContent : null;
    old.replaceChildren(...fresh.childNodes);
    const changed = [];
    for (const row of old.querySelectorAll(ROWS)) {
      if (!before.has(word(row))) { row.classList.add("changed"); changed.push(word(row)); }
    }
    if (place) [...old.querySelectorAll("a, button")].find((one) => (one.getAttribute("href") || one.textContent) === place)?.focus();
    return changed;
  };

  const read = async () => {
    if (ended || document.hidden) return;
    if (reading) { again = true; return; }  // what is under way may have been written before this change
    reading = true;
    try {
      const pages = new Map(), changed = [];
      for (const part of parts()) {
        const from = part.dataset.from || location.href;
        if (!pages.has(from)) {
          const answer = await fetch(from, { headers: { "Tidemark-Reads-Again": "1", Accept: "text/html" } });
          if (answer.redirected && new URL(answer.url).pathname === "/sign-in") { end(); return; }
          pages.set(from, answer.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null);
        }
        if (button.dataset.on === "") return;  // paused while it was under way
        const fresh = pages.get(from)?.querySelector(`[data-live="${part.dataset.live}"]`);
        if (fresh) changed.push(...swap(part, fresh));
      }
      if (changed.length) status.textContent = changed.length > 3 ? status.dataset.many : changed.join(". ");
    } catch { /* the network is away: the next turn comes */ } finally { reading = false; }
    if (again) { again = false; await read(); }
  };

  const stop = () => { stream?.close(); stream = null; clearInterval(timer); };
  const end = () => { ended = true; stop(); label.textContent = button.dataset.paused; status.textContent = status.dataset.ended; };
  const every = (length) => { clearInterval(timer); timer = setInterval(read, length); };
  const start = () => {
    stop();
    if (ended || document.hidden || button.dataset.on === "") return;
    const [of] = (parts()[0].dataset.from || bar.dataset.watch).match(/\b(site|key)_[0-9a-z]{26}\b/) || ["fleet"];
    every(POLL);
    if (!window.EventSource) return;
    stream = new EventSource(`/live/${of}`);
    stream.addEventListener("open", () => every(FRESH));  // its first word is that the page reads itself
    stream.addEventListener("error", () => every(POLL));
    stream.addEventListener("changed", read);
    stream.addEventListener("ended", end);
  };

  // A hidden page holds no connection; shown again it reads itself at once.
  document.addEventListener("visibilitychange", () => { if (document.hidden) stop(); else if (button.dataset.on) { read(); start(); } });
  button.addEventListener("click", () => {
    const on = button.dataset.on === "";
    button.dataset.on = on ? "1" : "";
    label.textContent = on ? running : button.dataset.paused;
    sessionStorage.setItem(PAUSED, on ? "" : "1");
    if (on) { read(); start(); } else stop();
  });
  if (sessionStorage.getItem(PAUSED)) button.click();
  bar.hidden = false;
  start();
}
