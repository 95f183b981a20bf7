"use strict";
(() => {
  const root = document.documentElement;
  const TYPES = ["#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00"];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let charts = {};

  async function unpack(id) {
    const text = atob(document.getElementById(id).textContent);
    const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).arrayBuffer();
  }

  // Charts: SVG, drawn when they are first to be seen.
  async function draw(within) {
    const waiting = [...within.querySelectorAll(".chart:not(.drawn)")].filter((e) => e.checkVisibility());
    for (const element of waiting) {
      element.classList.add("drawn");
      await vegaEmbed(element, charts[element.dataset.chart], {
        renderer: "svg", ast: true,
        actions: { export: true, source: false, compiled: false, editor: false },
      });
    }
  }

  // The map: one slider for all strategies.
  function shown(bytes, map, count, cells) {
    const frames = [];
    for (let frame = 0; frame < count; frame++) {
      const at = map.at + frame * 3 * cells;
      const planes = bytes.slice(at, at + 3 * cells);
      if (frame) planes.forEach((value, i) => { planes[i] = value ^ frames[frame - 1][i]; });
      frames.push(planes);
    }
    return frames;
  }

  function words(planes, cells, types) {
    const counts = types.map(() => 0);
    let used = 0, mixed = 0;
    for (let i = 0; i < cells; i++) {
      counts[planes[i]] += 1; used += planes[cells + i]; mixed += planes[2 * cells + i];
    }
    const share = (n) => `${Math.round(100 * n / cells)} %`;
    const parts = types.map((type, mt) => counts[mt] ? `${type} ${share(counts[mt])}` : "").filter(Boolean);
    return `${parts.join(", ")}; in use ${share(used / 255)}; mixed ${share(mixed / 255)}`;
  }

  // A pattern for each migratetype: on paper without colours it tells them apart.
  const LINES = [[0, 6, 6, 0], null, [0, 3, 6, 3], [3, 0, 3, 6], [2, 3, 5, 3]];
  const PATTERNS = TYPES.map((colour, mt) => {
    const tile = document.createElement("canvas"), pen = tile.getContext("2d");
    tile.width = tile.height = 6;
    pen.fillStyle = colour; pen.fillRect(0, 0, 6, 6);
    if (LINES[mt]) {
      const [fromX, fromY, toX, toY] = LINES[mt];
      pen.strokeStyle = "rgba(255, 255, 255, .6)"; pen.beginPath();
      pen.moveTo(fromX, fromY); pen.lineTo(toX, toY); pen.stroke();
    }
    return tile;
  });

  function paint(canvas, planes, cells, show) {
    const columns = Math.ceil(Math.sqrt(cells * 2) / 8) * 8, size = 12;
    const rows = Math.ceil(cells / columns), style = getComputedStyle(root);
    canvas.width = columns * size; canvas.height = rows * size;
    const pen = canvas.getContext("2d"), fills = PATTERNS.map((tile) => pen.createPattern(tile, "repeat"));
    const empty = style.getPropertyValue("--cell"), dot = style.getPropertyValue("--dot");
    for (let i = 0; i < cells; i++) {
      const x = i % columns * size, y = Math.floor(i / columns) * size, box = size - 1;
      const used = planes[cells + i] / 255, mixed = planes[2 * cells + i] / 255;
      pen.fillStyle = empty; pen.fillRect(x, y, box, box);
      if (show === "all" || show === "types") {
        pen.fillStyle = fills[planes[i]];
        pen.globalAlpha = show === "types" ? 1 : 0.3; pen.fillRect(x, y, box, box); pen.globalAlpha = 1;
      }
      if (show === "all" || show === "used") {
        if (show === "used") pen.fillStyle = "#56B4E9";
        const high = Math.round(used * box); pen.fillRect(x, y + box - high, box, high);
      }
      if (mixed && (show === "all" || show === "mixed")) {
        const wide = show === "all" ? 2 + 2 * mixed : box * mixed;
        pen.fillStyle = dot; pen.fillRect(x + (box - wide) / 2, y + (box - wide) / 2, wide, wide);
      }
    }
  }

  function maps(figure, about, bytes) {
    const slider = figure.querySelector("input[type=range]"), said = figure.querySelector("output");
    const play = figure.querySelector(".play"), last = about.times.length - 1;
    const unit = (about.axis.match(/\[(.+)\]/) || ["", ""])[1];
    const tiles = about.maps.map((map) => {
      const tile = document.createElement("section");
      tile.innerHTML = "<h4></h4><canvas role='img'></canvas><p></p>";
      tile.firstChild.textContent = map.label + (map.seed === null ? "" : ` (seed ${map.seed})`);
      figure.querySelector(".maps").append(tile);
      return { map, canvas: tile.children[1], text: tile.children[2], frames: shown(bytes, map, last + 1, about.cells) };
    });
    const seen = new Set(tiles.flatMap((t) => t.frames.flatMap((f) => [...new Set(f.subarray(0, about.cells))])));
    for (const mt of [...seen].sort()) {
      const key = document.createElement("li"), box = document.createElement("i");
      box.style.backgroundImage = `url(${PATTERNS[mt].toDataURL()})`; key.append(box, about.types[mt]);
      figure.querySelector(".keys").append(key);
    }
    const update = () => {
      const frame = Number(slider.value), show = figure.querySelector("input[type=radio]:checked").value;
      const when = `${about.times[frame].toLocaleString("en", { maximumFractionDigits: 1 })} ${unit}`;
      said.textContent = when; slider.setAttribute("aria-valuetext", when);
      for (const { map, canvas, text, frames } of tiles) {
        paint(canvas, frames[frame], about.cells, show);
        text.textContent = words(frames[frame], about.cells, about.types);
        canvas.setAttribute("aria-label", `${map.label} at ${when}: ${text.textContent}`);
      }
    };
    slider.max = last; slider.value = last;
    slider.addEventListener("input", update);
    figure.addEventListener("change", update);
    dark.addEventListener("change", update);
    let timer = 0;
    const stop = () => { clearInterval(timer); timer = 0; play.textContent = "Play"; play.setAttribute("aria-pressed", "false"); };
    play.addEventListener("click", () => {
      if (timer) { stop(); return; }
      if (Number(slider.value) === last) slider.value = 0;
      play.textContent = "Pause"; play.setAttribute("aria-pressed", "true"); update();
      timer = setInterval(() => {
        slider.value = Number(slider.value) + 1; update();
        if (Number(slider.value) === last) stop();
      }, 150);
    });
    update();
  }

  // Tables: a heading sorts by its column, again: the other way round.
  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0], given = [...body.rows];
    const value = (row, at) => {
      const cell = row.cells[at];
      return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
    };
    heads.forEach((head, at) => head.firstElementChild.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const compare = (a, b) => typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
      const rows = [...given].sort((a, b) => compare(value(a, at), value(b, at)));
      body.append(...(up ? rows : rows.reverse()));
    }));
  }

  function openTarget() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const chapter = target && target.closest("details");
    if (chapter) { chapter.open = true; target.scrollIntoView(); }
  }

  window.rmqueueOpenAll = async () => {
    root.dataset.ready = "false";
    document.querySelectorAll("details.chapter").forEach((chapter) => { chapter.open = true; });
    await draw(document);
    root.dataset.ready = "true";
  };

  async function start() {
    document.querySelectorAll(".sortable").forEach(sortable);
    addEventListener("hashchange", openTarget); openTarget();
    document.getElementById("open-all")?.addEventListener("click", window.rmqueueOpenAll);
    const about = JSON.parse(new TextDecoder().decode(await unpack("data")));
    const bytes = new Uint8Array(await unpack("bytes"));
    charts = about.charts;
    document.querySelectorAll("[data-map]").forEach((f) => maps(f, about.maps[f.dataset.map], bytes));
    document.querySelectorAll("details.chapter").forEach((c) => c.addEventListener("toggle", () => draw(c)));
    await draw(document);
    root.dataset.ready = "true";
  }
  start();
})();
