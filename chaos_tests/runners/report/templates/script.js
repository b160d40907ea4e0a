// A line at the same moment in every figure, and what was measured then. Without it the page is complete.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const tip = document.getElementById("tip");
  const drawings = [...document.querySelectorAll("svg.series")];
  const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
  const number = (v) => v === null ? "not known" : v.toLocaleString("en", { maximumFractionDigits: v < 10 ? 1 : 0 });
  const line = (text, style, strong) => {
    const row = document.createElement("p");
    if (style) { const mark = document.createElement("i"); mark.className = style; row.append(mark); }
    row.append(text);
    if (strong !== undefined) { const value = document.createElement("b"); value.textContent = strong; row.append(" ", value); }
    return row;
  };
  const hide = () => {
    tip.hidden = true;
    for (const each of drawings) each.querySelector(".cursor").setAttribute("visibility", "hidden");
  };
  drawings.forEach((drawing, which) => {
    drawing.addEventListener("pointermove", (event) => {
      const box = drawing.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width * data.width;
      const share = (x - data.left) / (data.width - data.left - data.right);
      if (share < 0 || share > 1) { hide(); return; }
      const at = share * data.seconds, index = Math.floor(at / data.step);
      for (const each of drawings) {
        const cursor = each.querySelector(".cursor");
        cursor.setAttribute("x1", x); cursor.setAttribute("x2", x); cursor.setAttribute("visibility", "visible");
      }
      tip.replaceChildren(line(`at ${clock(at)}`));
      for (const series of data.figures[which].series) {
        tip.append(line(series.name, series.style, number(series.values[index] ?? null)));
      }
      for (const [began, ended, name] of data.faults) {
        if (began <= at && at <= ended) { const row = line(name); row.className = "broken"; tip.append(row); }
      }
      tip.hidden = false;
      const left = Math.min(event.clientX + 16, innerWidth - tip.offsetWidth - 8);
      tip.style.left = `${left}px`;
      tip.style.top = `${Math.min(event.clientY + 16, innerHeight - tip.offsetHeight - 8)}px`;
    });
    drawing.addEventListener("pointerleave", hide);
  });
})();
