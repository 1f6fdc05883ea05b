// The two pictures over each other, the divider between them, and the pictures' way from preview to full resolution.
function explorerStage(data) {
  const stage = byId("ex-stage");
  const surface = byId("ex-surface");
  const divider = byId("ex-divider");
  const note = byId("ex-stage-note");
  const lens = explorerLens(stage);
  const sides = [byId("ex-img-left"), byId("ex-img-right")];
  const tags = [[byId("ex-tag-left"), byId("ex-lens-tag-left")], [byId("ex-tag-right"), byId("ex-lens-tag-right")]];
  const disk = {found: false, missed: false};
  let split = 50;
  let turn = 0; // what arrives for an image that is no longer shown is dropped

  function setSplit(value) {
    split = clamp(value, 0, 100);
    stage.style.setProperty("--split", `${split}%`);
    divider.setAttribute("aria-valuenow", Math.round(split));
    const [left, right] = tags.map(([tag]) => tag.textContent);
    divider.setAttribute("aria-valuetext", `${Math.round(split)} % ${left}, ${Math.round(100 - split)} % ${right}`);
  }

  function put(side, address) {
    sides[side].src = address;
    lens.images[side].src = address;
    for (const image of [sides[side], lens.images[side]]) image.hidden = false;
  }

  function clear(side) {
    for (const image of [sides[side], lens.images[side]]) {
      image.hidden = true;
      image.removeAttribute("src");
    }
  }

  async function load(side, d, i, s, mine) {
    const {embedded, full} = data.picture(d, i, s);
    const kind = data.index.sources[s].kind;
    for (const image of [sides[side], lens.images[side]]) image.classList.toggle("pixels", kind === "lr");
    if (embedded) put(side, embedded);
    else clear(side);
    const given = (data.picturesOf(d).previews[i] || {}).size;
    if (given) fit(given);
    if (!full || (disk.missed && !disk.found)) return embedded ? "embedded" : "none";
    const image = new Image();
    image.src = full;
    try {
      await image.decode();
    } catch {
      disk.missed = true; // the page was moved away from its images: said on the stage, and not tried for every image
      return embedded ? "embedded" : "none";
    }
    disk.found = true;
    if (mine !== turn) return "late";
    put(side, full);
    if (!given || kind === "technique") {
      const scale = kind === "lr" ? 8 : 1;
      fit([image.naturalWidth * scale, image.naturalHeight * scale]);
    }
    return "full";
  }

  function fit([width, height]) {
    stage.style.aspectRatio = `${width} / ${height}`;
    lens.resize([width, height]);
  }

  async function show(d, i, left, right) {
    turn += 1;
    const mine = turn;
    const chosen = [left, right];
    stage.dataset.state = "loading";
    stage.classList.toggle("single", left === right);
    note.hidden = true;
    chosen.forEach((s, side) => tags[side].forEach((tag) => {
      tag.textContent = s === null ? "" : data.sourceTitle(s);
    }));
    setSplit(split);
    const name = data.index.datasets[d].images[i].n;
    sides.forEach((image, side) => { image.alt = chosen[side] === null ? "" : `${name}, ${data.sourceTitle(chosen[side])}`; });
    const states = await Promise.all(chosen.map((s, side) => {
      if (s !== null) return load(side, d, i, s, mine);
      clear(side);
      return "none";
    }));
    if (mine !== turn) return;
    const texts = {
      none: "No picture of this image is on the disk or inside this page. Its scores are below.",
      embedded: "Reduced picture from inside this page: the full image was not found on the disk.",
    };
    const worst = states.includes("none") ? "none" : states.includes("embedded") ? "embedded" : null;
    const partly = worst === "none" && states.some((state) => state !== "none");
    note.textContent = partly ? "One side's picture was not found on the disk and is not inside this page." : texts[worst] || "";
    // A computed bicubic picture exists inside the page only: nothing is missing then.
    const expected = states.every((state, side) => state !== "embedded" || !data.picture(d, i, chosen[side]).full);
    note.hidden = worst === null || (worst === "embedded" && expected);
    note.classList.toggle("quiet", worst === "embedded");
    stage.dataset.state = states.join(" ");
    lens.draw();
  }

  function share(event) {
    const box = stage.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  divider.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    divider.setPointerCapture(event.pointerId);
    stage.classList.add("dragging");
  });
  divider.addEventListener("pointermove", (event) => {
    if (divider.hasPointerCapture(event.pointerId)) setSplit(100 * share(event)[0]);
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    divider.addEventListener(end, () => stage.classList.remove("dragging"));
  }
  divider.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 10 : 1;
    const to = {ArrowLeft: split - step, ArrowDown: split - step, ArrowRight: split + step, ArrowUp: split + step,
      PageDown: split - 10, PageUp: split + 10, Home: 0, End: 100}[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    setSplit(to);
  });

  stage.addEventListener("pointermove", (event) => {
    if (stage.classList.contains("dragging") || lens.pinned) return;
    if (event.pointerType === "mouse" || event.buttons) lens.moveTo(...share(event));
  });
  surface.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse") lens.moveTo(...share(event));
  });
  surface.addEventListener("click", (event) => {
    if (event.pointerType !== "mouse") return;
    lens.pin(!lens.pinned);
    if (!lens.pinned) lens.moveTo(...share(event));
  });
  surface.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const factor = event.shiftKey ? 1 : 0.2;
    const [w, h] = lens.part.map((part) => part * factor);
    const moves = {ArrowLeft: [-w, 0], ArrowRight: [w, 0], ArrowUp: [0, -h], ArrowDown: [0, h]};
    if (moves[event.key]) lens.moveBy(...moves[event.key]);
    else if (event.key === "Home") lens.moveTo(0.5, 0.5);
    else if (event.key === "Escape") lens.pin(false);
    else if (event.key === "+" || event.key === "=") lens.zoomBy(1);
    else if (event.key === "-") lens.zoomBy(-1);
    else return;
    event.preventDefault();
  });

  setSplit(50);
  return {show};
}
