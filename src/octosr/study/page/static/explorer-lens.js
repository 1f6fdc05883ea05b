// The zoom lens: the same place of both sides, side by side, enlarged alike.
function explorerLens(stage) {
  const loupe = byId("ex-loupe");
  const where = byId("ex-where");
  const glasses = [byId("ex-lens-left"), byId("ex-lens-right")];
  const zoomField = byId("ex-zoom");
  const hovers = matchMedia("(hover: hover)").matches;
  const state = {x: 0.5, y: 0.5, pinned: false, size: [1024, 1024]};

  // Screen pixels for one HR pixel: 50 % to 800 %.
  const zoom = () => 0.5 * 2 ** (Number(zoomField.value) / 2);

  function draw() {
    const [width, height] = state.size;
    const scale = zoom();
    const box = glasses[0].getBoundingClientRect();
    if (!box.width) return;
    const part = [Math.min(1, box.width / (width * scale)), Math.min(1, box.height / (height * scale))];
    const centre = [clamp(state.x, part[0] / 2, 1 - part[0] / 2), clamp(state.y, part[1] / 2, 1 - part[1] / 2)];
    for (const glass of glasses) {
      const image = glass.firstElementChild;
      image.style.width = `${width * scale}px`;
      image.style.height = `${height * scale}px`;
      const shift = [box.width / 2 - centre[0] * width * scale, box.height / 2 - centre[1] * height * scale];
      image.style.transform = `translate(${shift[0]}px, ${shift[1]}px)`;
    }
    loupe.style.width = `${100 * part[0]}%`;
    loupe.style.height = `${100 * part[1]}%`;
    loupe.style.left = `${100 * (centre[0] - part[0] / 2)}%`;
    loupe.style.top = `${100 * (centre[1] - part[1] / 2)}%`;
    loupe.classList.toggle("pinned", state.pinned);
    byId("ex-zoom-text").textContent = percent(scale);
    zoomField.setAttribute("aria-valuetext", percent(scale));
    const place = `Lens at column ${Math.round(centre[0] * width)}, row ${Math.round(centre[1] * height)}`;
    const hint = state.pinned ? " · held (click or Esc releases it)" : hovers ? " · click to hold it" : "";
    where.textContent = place + hint;
    state.part = part;
    state.centre = centre;
  }

  function moveTo(x, y) {
    state.x = clamp(x, 0, 1);
    state.y = clamp(y, 0, 1);
    draw();
  }

  // From where the lens is seen to be, not from a place outside that it was clamped from.
  const moveBy = (dx, dy) => moveTo(state.centre[0] + dx, state.centre[1] + dy);

  function zoomBy(steps) {
    zoomField.value = clamp(Number(zoomField.value) + steps, 0, 8);
    draw();
  }

  function pin(value) {
    state.pinned = value;
    draw();
  }

  zoomField.addEventListener("input", draw);
  new ResizeObserver(draw).observe(glasses[0]);
  new ResizeObserver(draw).observe(stage);
  return {
    draw, moveTo, moveBy, zoomBy, pin,
    get pinned() { return state.pinned; },
    get part() { return state.part; },
    resize(size) { state.size = size; draw(); },
    images: glasses.map((glass) => glass.firstElementChild),
  };
}
