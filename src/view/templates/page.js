"use strict";
// Everything can be read without this script. It adds: copying a command, moving the threshold, finding a label, and
// telling which view is shown.
{
  const all = (selector) => [...document.querySelectorAll(selector)];

  for (const button of all("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        // A file opened from disk may have no clipboard: the command is selected instead.
        getSelection().selectAllChildren(code);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }

  const threshold = document.getElementById("threshold");
  if (threshold) {
    const kept = document.getElementById("kept");
    const bars = all("[data-threshold] rect");
    const number = (value) => value.toLocaleString("en");
    const bold = (text) => Object.assign(document.createElement("b"), { textContent: text });
    threshold.hidden = false;
    threshold.addEventListener("input", () => {
      let above = 0;
      let below = 0;
      for (const bar of bars) {
        const reaches = Number(bar.dataset.from) >= Number(threshold.value);
        bar.classList.toggle("on", reaches);
        if (reaches) above += Number(bar.dataset.n);
        else below += Number(bar.dataset.n);
      }
      kept.replaceChildren("At ", bold(threshold.value), " and above, ", bold(number(above)),
        ` images keep a label; ${number(below)} would not.`);
    });
  }

  const find = document.getElementById("find");
  if (find) {
    const found = document.getElementById("found");
    const place = document.getElementById("rows");
    const rows = [...place.querySelectorAll("tbody tr")]
      .map((row) => [row, row.cells[1].textContent.toLowerCase()]);
    find.parentElement.hidden = false;
    find.addEventListener("input", () => {
      const wanted = find.value.trim().toLowerCase();
      let count = 0;
      // Parts of the table out of sight keep their height otherwise, also if few of their rows are left.
      place.classList.toggle("is-found", wanted !== "");
      for (const [row, text] of rows) {
        row.hidden = !text.includes(wanted);
        count += row.hidden ? 0 : 1;
      }
      found.textContent = wanted ? `${count.toLocaleString("en")} of ${rows.length.toLocaleString("en")}` : "";
    });
  }

  // The address says which view is shown. Marks its link, and shows a row that was filtered away but is wanted.
  const show = () => {
    if (!document.querySelector(".views")) return;
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    const view = target ? target.closest(".view") : document.querySelector(".view");
    for (const link of all("nav a")) {
      if (view && link.hash === `#${view.id}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (target && target.hidden) {
      find.value = "";
      find.dispatchEvent(new Event("input"));
      target.scrollIntoView();
    }
    // The beginning of a view is the beginning of the page.
    if (target && target === view) scrollTo(0, 0);
  };
  addEventListener("hashchange", show);
  show();

  // Filters begin closed in a narrow window.
  const filters = document.querySelector(".filters");
  if (filters && matchMedia("(max-width: 54rem)").matches) filters.open = false;

  // Pictures further down are asked for once the person scrolls and comes near them.
  const later = all("img[data-src]");
  if (later.length > 0) {
    const near = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (!isIntersecting) continue;
        near.unobserve(target);
        target.src = target.dataset.src;
      }
    }, { rootMargin: "400px" });
    addEventListener("scroll", () => { for (const picture of later) near.observe(picture); }, { once: true });
  }

  // Where a picture is missing, its tile has the key.
  const missing = (picture) => {
    const place = picture.closest(".grid a, .picture");
    const key = place && place.querySelector(".key");
    if (!key) return;
    const tile = Object.assign(document.createElement("span"), { className: "tile", ariaHidden: "true" });
    const text = Object.assign(document.createElement("span"), { dir: "ltr" });
    text.append(...key.cloneNode(true).childNodes);
    tile.append(text);
    picture.replaceWith(tile);
  };
  for (const picture of all(".grid img, .picture img")) {
    if (picture.complete && picture.naturalWidth === 0 && picture.currentSrc) missing(picture);
    else picture.addEventListener("error", () => missing(picture), { once: true });
  }

  // Follows the run that goes on. If the page was made for another one, it is read anew.
  const live = document.querySelector("[data-live]");
  if (live) {
    let events = null;
    const stop = () => {
      if (events) events.close();
      events = null;
    };
    const told = (event) => {
      const run = JSON.parse(event.data);
      if ((run ? run.version : "") !== live.dataset.live) {
        stop();
        location.reload();
        return;
      }
      if (!run) return;
      const fill = (id, text) => {
        const place = live.querySelector(`[data-fill="${id}"]`);
        if (place && place.textContent !== text) place.textContent = text;
      };
      fill("title", run.title);
      for (const figure of run.figures) {
        fill(figure.id, figure.value);
        fill(`${figure.id}-remark`, figure.remark);
      }
      fill("waits", run.waits);
      live.querySelector("[data-fill=waits]").hidden = !run.waits;
      let x = 0;
      for (const [place, part] of live.querySelectorAll("[data-part]").entries()) {
        part.setAttribute("x", x);
        part.setAttribute("width", run.parts[place]);
        x += run.parts[place];
      }
    };
    // A page that nobody sees keeps no connection: a browser opens only six of them to a server.
    const follow = () => {
      if (document.hidden) stop();
      else if (!events) {
        events = new EventSource("/live");
        events.addEventListener("message", told);
      }
    };
    document.addEventListener("visibilitychange", follow);
    addEventListener("pageshow", follow);
    addEventListener("pagehide", stop);
    follow();
  }

  // On paper, every view and every folded part is shown.
  addEventListener("beforeprint", () => {
    for (const details of all("details:not([open])")) {
      details.open = true;
      details.dataset.folded = "";
    }
  });
  addEventListener("afterprint", () => {
    for (const details of all("details[data-folded]")) {
      details.open = false;
      delete details.dataset.folded;
    }
  });
}
