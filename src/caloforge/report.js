"use strict";
// Interactive view of single showers: boxes on a 2-D canvas, painted back to front. No library.
(function () {
  const data = JSON.parse(document.getElementById("scene").textContent);
  const state = { yaw: 0.9, pitch: 0.42, zoom: 1, cut: 0, entry: 0 };
  const limits = data.frames.reduce((m, f) => m.map((v, i) => (i < 3 ? Math.min : Math.max)(v, f[i])),
    [1e9, 1e9, 1e9, -1e9, -1e9, -1e9]);
  const middle = [0, 1, 2].map((i) => (limits[i] + limits[i + 3]) / 2);
  const radius = Math.hypot(...[0, 1, 2].map((i) => limits[i + 3] - limits[i])) / 2;
  const STOPS = [[59, 15, 112], [140, 41, 129], [222, 73, 104], [254, 159, 109], [252, 253, 191]];
  const FACES = [[0, 1, 3, 2], [4, 5, 7, 6], [0, 1, 5, 4], [2, 3, 7, 6], [0, 2, 6, 4], [1, 3, 7, 5]];
  const NORMALS = [[0, 0, -1], [0, 0, 1], [0, -1, 0], [0, 1, 0], [-1, 0, 0], [1, 0, 0]];
  const EDGES = [[0, 1], [1, 3], [3, 2], [2, 0], [4, 5], [5, 7], [7, 6], [6, 4], [0, 4], [1, 5], [2, 6], [3, 7]];
  const VIEWS = { front: [0, 0], side: [Math.PI / 2, 0], top: [0, Math.PI / 2 - 1e-3], tilted: [0.9, 0.42] };
  const energies = data.showers.flatMap((s) => s.energies);
  const highest = energies.reduce((a, b) => Math.max(a, b), 1e-9);
  const lowest = Math.max(energies.reduce((a, b) => Math.min(a, b), highest), highest * 1e-4);
  const level = (e) => Math.min(1, Math.max(0, Math.log(e / lowest) / Math.log(highest / lowest || 10)));

  function color(t, shade) {
    const x = t * (STOPS.length - 1), i = Math.min(STOPS.length - 2, Math.floor(x));
    return "rgb(" + [0, 1, 2].map((k) => Math.round(shade * (STOPS[i][k] + (x - i) * (STOPS[i + 1][k] - STOPS[i][k])))) + ")";
  }

  // World (x, y, z: depth) to view: yaw about the vertical axis y, then pitch; the particle comes along +z.
  function camera() {
    const [cy, sy, cp, sp] = [Math.cos(state.yaw), Math.sin(state.yaw), Math.cos(state.pitch), Math.sin(state.pitch)];
    return (p) => {
      const x = cy * p[0] + sy * p[2], z = -sy * p[0] + cy * p[2];
      return [x, cp * p[1] + sp * z, -sp * p[1] + cp * z];
    };
  }

  function corners(low, high) {
    return [0, 1, 2, 3, 4, 5, 6, 7].map((i) =>
      [i & 1 ? high[0] : low[0], i & 2 ? high[1] : low[1], i & 4 ? high[2] : low[2]].map((v, k) => v - middle[k]));
  }

  function polygon(context, points, close) {
    context.beginPath();
    points.forEach((p, i) => (i ? context.lineTo(p[0], p[1]) : context.moveTo(p[0], p[1])));
    if (close) context.closePath();
  }

  function paint(canvas, shower) {
    const context = canvas.getContext("2d"), ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
    if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const glow = context.createRadialGradient(width / 2, height / 2, 10, width / 2, height / 2, width / 1.4);
    glow.addColorStop(0, "#1b2138");
    glow.addColorStop(1, "#0b0d18");
    context.fillStyle = glow;
    context.fillRect(0, 0, width, height);
    const view = camera(), scale = (state.zoom * Math.min(width, height) * 0.56) / radius, far = 6 * radius;
    const project = (p) => {
      const v = view(p), f = (scale * far) / (far + v[2]);
      return [width / 2 + f * v[0], height / 2 - f * v[1], v[2]];
    };
    context.lineWidth = 1;
    context.strokeStyle = data.frames.length > 8 ? "rgba(150,170,220,0.10)" : "rgba(150,170,220,0.28)";
    data.frames.forEach((f) => {
      const points = corners(f.slice(0, 3), f.slice(3)).map(project);
      EDGES.forEach((e) => { polygon(context, [points[e[0]], points[e[1]]], false); context.stroke(); });
    });
    beam(context, project);
    const boxes = shower.cells.map((cell, i) => ({ box: data.boxes[cell], energy: shower.energies[i] }))
      .filter((b) => b.energy >= state.cut);
    boxes.forEach((b) => { b.depth = view([0, 1, 2].map((k) => b.box[k] - middle[k]))[2]; });
    boxes.sort((a, b) => b.depth - a.depth);
    context.globalAlpha = 0.88;
    boxes.forEach((b) => drawBox(context, b, view, project, far));
    context.globalAlpha = 1;
    legend(context, width, height, shower, boxes);
  }

  function drawBox(context, b, view, project, far) {
    const t = level(b.energy), size = 0.45 + 0.5 * t;
    const low = [0, 1, 2].map((k) => b.box[k] - size * b.box[k + 3]), high = [0, 1, 2].map((k) => b.box[k] + size * b.box[k + 3]);
    const points = corners(low, high), flat = points.map(project);
    FACES.forEach((face, i) => {
      const n = view(NORMALS[i]), at = view(points[face[0]]);
      if (n[0] * at[0] + n[1] * at[1] + n[2] * (at[2] + far) >= 0) return;
      context.fillStyle = color(0.08 + 0.92 * t, 0.62 + 0.38 * Math.abs(n[2] * 0.5 + n[1] * 0.85));
      polygon(context, face.map((k) => flat[k]), true);
      context.fill();
    });
  }

  function beam(context, project) {
    const from = project([-middle[0], -middle[1], limits[2] - middle[2] - 0.35 * radius]);
    const to = project([-middle[0], -middle[1], limits[2] - middle[2]]);
    context.strokeStyle = context.fillStyle = "#7ee0ff";
    context.setLineDash([5, 4]);
    polygon(context, [from, to], false);
    context.stroke();
    context.setLineDash([]);
    context.beginPath();
    context.arc(to[0], to[1], 3, 0, 7);
    context.fill();
  }

  function legend(context, width, height, shower, boxes) {
    const sum = boxes.reduce((s, b) => s + b.energy, 0);
    context.font = "600 14px system-ui, sans-serif";
    context.fillStyle = "#fff";
    context.fillText(shower.sample, 14, 24);
    context.font = "12px system-ui, sans-serif";
    context.fillStyle = "#b9c3dd";
    context.fillText("incident " + shower.incident.toPrecision(3) + " GeV · shown " + sum.toPrecision(3) + " GeV in " +
      boxes.length + " cells", 14, 42);
    const bar = Math.min(160, width / 3), y = height - 26;
    for (let i = 0; i < bar; i++) { context.fillStyle = color(0.08 + (0.92 * i) / bar, 1); context.fillRect(14 + i, y, 1.5, 8); }
    context.fillStyle = "#b9c3dd";
    context.fillText(lowest.toPrecision(2), 14, y + 20);
    context.fillText(highest.toPrecision(2) + " GeV", 14 + bar - 20, y + 20);
  }

  const canvases = Array.from(document.querySelectorAll("canvas.shower"));
  const choose = document.getElementById("shower-entry"), other = document.getElementById("shower-sample");
  const cut = document.getElementById("shower-cut"), cutText = document.getElementById("shower-cut-text");
  const perEntry = data.samples.length + 1, entries = data.showers.length / perEntry;
  let waiting = false;
  function redraw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      const first = perEntry * state.entry;
      paint(canvases[0], data.showers[first]);
      paint(canvases[1], data.showers[first + 1 + Number(other.value)]);
    });
  }
  for (let i = 0; i < entries; i++) choose.add(new Option(data.showers[i * perEntry].energy.toPrecision(3) + " GeV", i));
  data.samples.forEach((name, i) => other.add(new Option(name, i)));
  state.entry = Math.floor(entries / 2);
  choose.value = state.entry;
  choose.addEventListener("change", () => { state.entry = Number(choose.value); redraw(); });
  other.addEventListener("change", redraw);
  cut.addEventListener("input", () => {
    state.cut = cut.value > 0 ? lowest * Math.pow(highest / lowest, cut.value / 100) : 0;
    cutText.textContent = state.cut ? "≥ " + (state.cut * 1e3).toPrecision(2) + " MeV" : "all cells";
    redraw();
  });
  document.querySelectorAll("button[data-view]").forEach((button) => button.addEventListener("click", () => {
    [state.yaw, state.pitch] = VIEWS[button.dataset.view];
    state.zoom = 1;
    redraw();
  }));
  canvases.forEach((canvas) => {
    let last = null;
    canvas.addEventListener("pointerdown", (e) => { last = [e.clientX, e.clientY]; canvas.setPointerCapture(e.pointerId); });
    canvas.addEventListener("pointerup", () => { last = null; });
    canvas.addEventListener("pointermove", (e) => {
      if (!last) return;
      state.yaw += 0.008 * (e.clientX - last[0]);
      state.pitch = Math.max(-1.57, Math.min(1.57, state.pitch + 0.008 * (e.clientY - last[1])));
      last = [e.clientX, e.clientY];
      redraw();
    });
    canvas.addEventListener("wheel", (e) => {
      e.preventDefault();
      state.zoom = Math.max(0.3, Math.min(12, state.zoom * Math.exp(-0.0012 * e.deltaY)));
      redraw();
    }, { passive: false });
  });
  new ResizeObserver(redraw).observe(canvases[0]);
  redraw();
})();

// The metric table: a row stays if it holds every word of the filter.
(function () {
  const filter = document.getElementById("filter"), rows = Array.from(document.querySelectorAll("#metrics tbody tr"));
  const count = document.getElementById("filter-count");
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/);
    const kept = rows.filter((row) => {
      const text = row.textContent.toLowerCase(), keep = words.every((word) => text.includes(word));
      row.hidden = !keep;
      return keep;
    });
    count.textContent = kept.length + " of " + rows.length;
  });
  document.querySelectorAll("figure img").forEach((image) => image.addEventListener("click", () => {
    const box = document.getElementById("large");
    box.querySelector("img").src = image.src;
    box.querySelector("img").alt = image.alt;
    box.showModal();
  }));
  document.getElementById("large").addEventListener("click", (e) => e.currentTarget.close());
  window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
})();
