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
    const rows = [...document.getElementById("rows").rows]
      .map((row) => [row, row.cells[1].textContent.toLowerCase()]);
    find.parentElement.hidden = false;
    find.addEventListener("input", () => {
      const wanted = find.value.trim().toLowerCase();
      let count = 0;
      for (const [row, text] of rows) {
        row.hidden = !text.includes(wanted);
        count += row.hidden ? 0 : 1;
      }
      found.textContent = wanted ? `${count.toLocaleString("en")} of ${rows.length.toLocaleString("en")}` : "";
    });
  }

  // The address says which view is shown. Marks its link, and shows a row that was filtered away but is wanted.
  const show = () => {
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
