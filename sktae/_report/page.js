"use strict";
(() => {
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const find = (query, parent = document) => [...parent.querySelectorAll(query)];
  const byId = (id) => document.getElementById(id);
  const limited = (x, low, high) => Math.min(high, Math.max(low, x));
  const n = facts.total;
  let count = facts.counts[facts.fitted]; // rows of a smaller rank are flagged

  for (const each of find(".needs-script, .slider")) each.hidden = false;

  // -- the threshold -----------------------------------------------------------------------------

  const slider = byId("slider");
  const number = (x) => x.toLocaleString("en-US");
  const share = (x) => {
    const percent = 100 * x;
    if (percent === 0 || percent === 100 || (percent >= 10 && percent <= 99)) return `${percent.toFixed(0)} %`;
    return percent < 10 ? `${Number(percent.toPrecision(2))} %` : `${Math.min(percent, 99.9).toFixed(1)} %`;
  };

  function moveThreshold(stop) {
    count = facts.counts[stop];
    slider.value = stop;
    slider.setAttribute("aria-valuetext", `${facts.stops[stop]}, ${number(count)} flagged`);
    byId("now-threshold").textContent = facts.stops[stop];
    byId("now-count").textContent = `${number(count)} of ${number(n)} (${share(count / n)})`;
    if (facts.alarms) byId("now-alarms").textContent = `about ${facts.alarms[stop]}`;
    if (facts.hits) byId("now-hits").textContent = `${number(facts.hits[stop])} of ${number(facts.outliers)}`;
    byId("reset").hidden = stop === facts.fitted;

    const x = 1000 * facts.places[stop];
    byId("threshold-line").setAttribute("d", `M${x} 0V1000`);
    byId("clip-below").firstElementChild.setAttribute("width", x);
    const above = byId("clip-above").firstElementChild;
    above.setAttribute("x", x);
    above.setAttribute("width", 1000 - x);

    const names = find("#flagged > li");
    for (const name of names) name.hidden = Number(name.dataset.rank) >= count;
    const rest = byId("flagged-rest");
    rest.hidden = count <= names.length;
    rest.textContent = `and ${number(count - names.length)} more`;
    byId("flagged-none").hidden = count > 0;
    for (const card of find("article[data-rank]")) {
      const isFlagged = Number(card.dataset.rank) < count;
      card.classList.toggle("calm", !isFlagged);
      card.querySelector(".badge").hidden = !isFlagged;
    }
    for (const line of find(".track .threshold")) {
      const { low, high, length } = line.dataset;
      const y = 1000 * (1 - (facts.values[stop] - low) / (high - low));
      line.setAttribute("d", `M0 ${y}H${length}`);
    }
    colorMap();
  }

  slider.addEventListener("input", () => moveThreshold(Number(slider.value)));
  byId("reset").addEventListener("click", () => {
    moveThreshold(facts.fitted);
    slider.focus();
  });

  // -- the map -----------------------------------------------------------------------------------

  const map = facts.map;
  const chart = byId("codes");

  function colorMap() {
    if (!map) return;
    const paths = { calm: "", flagged: "" };
    map.ranks.forEach((rank, i) => {
      const dot = `M${Math.round(1000 * map.x[i])} ${Math.round(1000 * (1 - map.y[i]))}h0`;
      paths[rank < count ? "flagged" : "calm"] += dot;
    });
    for (const [kind, path] of Object.entries(paths)) {
      chart.querySelector(`.dot.${kind}`).setAttribute("d", path);
    }
  }

  if (map) {
    const plot = chart.querySelector(".plot");
    const tip = byId("tip");
    const ring = document.createElement("div");
    ring.className = "ring";
    ring.hidden = true;
    plot.append(ring);
    plot.tabIndex = 0;
    plot.setAttribute("role", "application");
    plot.setAttribute("aria-label", "Map of the rows: arrow keys go from row to row");
    tip.hidden = false;
    tip.textContent = "No row is selected.";
    let selected = -1;

    const select = (i) => {
      selected = i;
      ring.hidden = false;
      ring.style.left = `${100 * map.x[i]}%`;
      ring.style.top = `${100 * (1 - map.y[i])}%`;
      const rank = map.ranks[i];
      const why = map.reasons[rank];
      const state = rank < count ? "flagged" : "not flagged";
      tip.textContent =
        `Row ${map.labels[i]}: ${state}; anomaly score ${map.scores[i]}, number ${number(rank + 1)} of ` +
        `${number(n)}${why ? `; most of all by ${why.join(", ")}` : ""}.`;
    };
    plot.addEventListener("pointermove", (event) => {
      const box = plot.getBoundingClientRect();
      const x = event.clientX - box.left;
      const y = event.clientY - box.top;
      let best = -1;
      let least = 30 ** 2; // pixels: no row is selected from farther away
      for (let i = 0; i < map.x.length; i++) {
        const far = (map.x[i] * box.width - x) ** 2 + ((1 - map.y[i]) * box.height - y) ** 2;
        if (far < least) [best, least] = [i, far];
      }
      if (best >= 0) select(best);
    });
    plot.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Home") select(0);
      else if (event.key === "End") select(map.x.length - 1);
      else if (step) select(limited(selected + step, 0, map.x.length - 1));
      else return;
      event.preventDefault();
    });
  }

  // -- the timelines -----------------------------------------------------------------------------

  const views = find(".timeline").map((timeline, number) => {
    const last = Math.max(1, Number(timeline.dataset.length) - 1);
    const tracks = timeline.querySelector(".tracks");
    const ticks = timeline.querySelector(".x-ticks");
    const { rows, labels } = facts.times[number];
    let [from, to] = [0, last];

    function show(a, b) {
      const size = limited(b - a, Math.min(10, last), last);
      from = limited(a, 0, last - size);
      to = from + size;
      for (const picture of find("svg", tracks)) picture.setAttribute("viewBox", `${from} 0 ${size} 1000`);
      timeline.dataset.from = Math.round(from);
      timeline.dataset.to = Math.round(to);
      const shown = rows.map((row, i) => [row, labels[i]]).filter(([row]) => row >= from && row <= to);
      const some = Math.min(5, shown.length);
      ticks.replaceChildren(
        ...Array.from({ length: some }, (_, k) => {
          const [row, label] = shown[some > 1 ? Math.round((k * (shown.length - 1)) / (some - 1)) : 0];
          const tick = document.createElement("span");
          tick.textContent = label;
          tick.style.left = `${(100 * (row - from)) / size}%`;
          return tick;
        }),
      );
    }
    const zoom = (factor) => {
      const [middle, half] = [(from + to) / 2, ((to - from) * factor) / 2];
      show(middle - half, middle + half);
    };
    const move = (part) => show(from + part * (to - from), to + part * (to - from));
    const actions = {
      "Zoom in": () => zoom(0.5),
      "Zoom out": () => zoom(2),
      Earlier: () => move(-0.25),
      Later: () => move(0.25),
      All: () => show(0, last),
    };
    const keys = { "+": "Zoom in", "=": "Zoom in", "-": "Zoom out", ArrowLeft: "Earlier", ArrowRight: "Later", 0: "All" };
    for (const button of find("[data-do]", timeline)) {
      button.addEventListener("click", actions[button.dataset.do]);
    }
    tracks.addEventListener("keydown", (event) => {
      if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
      actions[keys[event.key]]();
      event.preventDefault();
    });
    tracks.addEventListener("dblclick", actions.All);

    // A part that is drawn over with the mouse is shown.
    const brush = document.createElement("div");
    brush.className = "brush";
    brush.hidden = true;
    tracks.append(brush);
    let start = null;
    const place = (event) => {
      const box = tracks.getBoundingClientRect();
      return limited((event.clientX - box.left) / box.width, 0, 1);
    };
    tracks.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "mouse" || event.button !== 0) return;
      start = place(event);
      tracks.setPointerCapture(event.pointerId);
    });
    tracks.addEventListener("pointermove", (event) => {
      if (start === null) return;
      const here = place(event);
      brush.hidden = false;
      brush.style.left = `${100 * Math.min(start, here)}%`;
      brush.style.width = `${100 * Math.abs(here - start)}%`;
    });
    tracks.addEventListener("pointerup", (event) => {
      if (start === null) return;
      const [a, b] = [start, place(event)].sort((p, q) => p - q);
      start = null;
      brush.hidden = true;
      if (b - a > 0.005) show(from + a * (to - from), from + b * (to - from));
    });
    tracks.addEventListener("pointercancel", () => {
      start = null;
      brush.hidden = true;
    });
    return { timeline, tracks, show };
  });

  for (const button of find("[data-show]")) {
    button.addEventListener("click", () => {
      const { timeline, tracks, show } = views[Number(button.dataset.show)];
      const [a, b] = [Number(button.dataset.start), Number(button.dataset.end)];
      const margin = Math.max(50, b - a);
      show(a - margin, b + margin);
      timeline.scrollIntoView({ block: "nearest" });
      tracks.focus({ preventScroll: true });
    });
  }
})();
