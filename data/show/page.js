
(() => {
  "use strict";
  const info = document.getElementById("info");
  const edges = document.getElementById("edges");
  info.textContent = "";
  let on = null;
  const select = (token) => {
    if (on) on.classList.remove("on");
    on = token;
    info.textContent = token ? token.dataset.i : "";
    if (token) token.classList.add("on");
  };
  const tokenOf = (target) => target.closest ? target.closest(".k[data-i]") : null;
  document.addEventListener("mouseover", (e) => { const t = tokenOf(e.target); if (t) select(t); });
  document.addEventListener("click", (e) => { const t = tokenOf(e.target); if (t) select(t); });
  document.addEventListener("keydown", (e) => {
    const text = e.target.closest(".text");
    if (!text || e.altKey || e.ctrlKey || e.metaKey) return;
    const all = Array.from(text.querySelectorAll(".k[data-i]"));
    if (all.length === 0) return;
    const at = on && text.contains(on) ? all.indexOf(on) : -1;
    const to = { ArrowRight: at + 1, ArrowLeft: Math.max(at - 1, 0), Home: 0, End: all.length - 1 }[e.key];
    if (e.key === "Escape") return select(null);
    if (to === undefined) return;
    e.preventDefault();
    const next = all[Math.min(to, all.length - 1)];
    select(next);
    next.scrollIntoView({ block: "nearest" });
  });
  edges.addEventListener("click", () => {
    const shown = document.body.classList.toggle("edges");
    edges.setAttribute("aria-pressed", String(shown));
  });
})();
