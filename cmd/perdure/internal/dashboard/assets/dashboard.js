// Renews the page each second, and at once when the server tells of an event
// (Server-Sent Events). What is shown is always the server's HTML: a new copy is
// laid over the old one node by node, so that scroll, focus and selection stay.
"use strict";
(() => {
  const every = 1000;
  const patience = 3500; // without an answer the page says that it is old
  const main = document.getElementById("main");
  const fresh = document.getElementById("fresh");
  const freshText = document.getElementById("fresh-text");
  const stale = document.getElementById("stale");
  const spoken = document.getElementById("spoken");
  const favicon = document.getElementById("favicon");
  const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
  let last = performance.now();
  let lastAt = new Date();

  const localTime = (t) => {
    const at = new Date(t.getAttribute("datetime"));
    if (!Number.isNaN(at.getTime())) {
      t.textContent = clock.format(at);
      t.title = full.format(at);
    }
  };
  const localTimes = (root) => root.querySelectorAll("time[datetime]").forEach(localTime);

  // touched says that the reader has selected something in a node, or works in it.
  const touched = (node) => {
    const s = getSelection();
    return (s !== null && !s.isCollapsed && s.containsNode(node, true)) ||
      (node.nodeType === 1 && node.contains(document.activeElement));
  };

  const same = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");

  const keep = (node, name) => name === "open" && node.nodeName === "DETAILS";

  // lay makes the children of a node those of another, changing as little as it can.
  const lay = (old, now) => {
    if (old.nodeType === 1) {
      for (const { name, value } of [...now.attributes]) {
        if (old.getAttribute(name) !== value) old.setAttribute(name, value);
      }
      for (const { name } of [...old.attributes]) {
        if (!now.hasAttribute(name) && !keep(old, name)) old.removeAttribute(name);
      }
    }
    let at = old.firstChild;
    for (let next = now.firstChild; next !== null;) {
      const following = next.nextSibling;
      if (at === null || !same(at, next)) {
        const known = next.nodeType === 1 && next.id ? [...old.children].find((c) => c.id === next.id) : undefined;
        if (known !== undefined) {
          if (!touched(known)) old.insertBefore(known, at);
          lay(known, next);
          if (known === at) at = known.nextSibling;
        } else if (at !== null && at.nodeType === next.nodeType && at.nodeName === next.nodeName && !at.id && !next.id) {
          lay(at, next);
          at = at.nextSibling;
        } else {
          old.insertBefore(next, at);
        }
      } else {
        if (at.nodeType === 1) {
          lay(at, next);
        } else if (at.nodeValue !== next.nodeValue && !touched(at)) {
          at.nodeValue = next.nodeValue;
        }
        at = at.nextSibling;
      }
      next = following;
    }
    while (at !== null) {
      const following = at.nextSibling;
      if (!touched(at)) at.remove();
      at = following;
    }
  };

  const told = (at) => {
    last = performance.now();
    lastAt = at;
    fresh.className = "fresh live";
    freshText.textContent = "Live · " + clock.format(at);
    stale.hidden = true;
    document.body.classList.remove("stale-page");
  };

  const silent = () => {
    if (performance.now() - last < patience || !stale.hidden) return;
    fresh.className = "fresh old";
    freshText.textContent = "Old · " + clock.format(lastAt);
    document.getElementById("stale-since").textContent = clock.format(lastAt);
    stale.hidden = false;
    document.body.classList.add("stale-page");
  };

  const renew = async () => {
    const answer = await fetch(main.dataset.fragment, { cache: "no-store", signal: AbortSignal.timeout(3000) });
    if (!answer.ok) throw new Error(String(answer.status));
    const f = await answer.json();
    const now = new DOMParser().parseFromString("<main>" + f.main + "</main>", "text/html").querySelector("main");
    localTimes(now);
    for (const { name, value } of [...main.attributes]) now.setAttribute(name, value);
    lay(main, now);
    document.title = f.title;
    if (favicon.getAttribute("href") !== f.icon) favicon.setAttribute("href", f.icon);
    if (spoken.textContent !== f.spoken) spoken.textContent = f.spoken;
    told(new Date(f.at));
  };

  // One renewal at a time: each second, and at once when something happens.
  let timer = 0;
  let busy = false;
  let begun = 0;
  const soon = (after) => {
    clearTimeout(timer);
    timer = setTimeout(loop, Math.max(after, begun + 250 - performance.now()));
  };
  const loop = async () => {
    if (busy) return;
    busy = true;
    begun = performance.now();
    if (!document.hidden) {
      try {
        await renew();
      } catch {
        silent();
      }
    } else {
      last = performance.now(); // nobody looks: it is not old for them
    }
    busy = false;
    soon(every);
  };

  const listen = () => {
    if (!("EventSource" in window)) return;
    const source = new EventSource("events?since=" + main.dataset.last);
    for (const type of ["event", "reset"]) source.addEventListener(type, () => { if (!busy) soon(0); });
    addEventListener("pagehide", () => source.close());
  };

  document.getElementById("zone").textContent = "your zone, " + Intl.DateTimeFormat().resolvedOptions().timeZone;
  localTimes(document);
  listen();
  soon(every);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    last = performance.now();
    soon(0);
  });
})();
