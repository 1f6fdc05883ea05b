// The list of images, and the lists of the best, the worst and the most disagreed.
function thumbnail(data, d, i) {
  const {sheet} = data.picturesOf(d);
  const thumb = make("span", {class: "thumb", "aria-hidden": "true"});
  const place = sheet.places[i];
  if (place === undefined) return thumb;
  const rows = Math.ceil(Object.keys(sheet.places).length / sheet.columns);
  const column = place % sheet.columns;
  const row = Math.floor(place / sheet.columns);
  thumb.classList.add("has-picture");
  thumb.style.backgroundSize = `${100 * sheet.columns}% ${100 * rows}%`;
  thumb.style.backgroundPosition = `${(100 * column) / Math.max(1, sheet.columns - 1)}% ${(100 * row) / Math.max(1, rows - 1)}%`;
  return thumb;
}

function sheetOn(element, data, d) {
  const {uri} = data.picturesOf(d).sheet;
  element.style.setProperty("--sheet", uri ? `url("${uri}")` : "none");
}

function explorerList(data, choose) {
  const list = byId("ex-list");
  const search = byId("ex-search");
  const count = byId("ex-count");
  let options = [];
  let dataset = 0;
  let current = 0;

  function label(image) {
    return image.g === undefined ? image.n : `${image.n}, sample of ${data.index.techniques[image.g].title}`;
  }

  function fill() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const images = data.index.datasets[dataset].images;
    const matching = images.map((image, i) => ({image, i}))
      .filter(({image}) => words.every((word) => label(image).toLowerCase().includes(word)));
    sheetOn(list, data, dataset);
    options = matching.map(({image, i}) => {
      const text = make("span", {class: "option-text"}, make("bdi", {}, image.n));
      if (image.g !== undefined) text.append(make("small", {}, `sample of ${data.index.techniques[image.g].title}`));
      const option = make("div", {class: "option", role: "option", id: `ex-option-${i}`, title: label(image)},
        thumbnail(data, dataset, i), text);
      option.dataset.i = i;
      option.addEventListener("click", () => choose(dataset, i));
      return option;
    });
    list.replaceChildren(...options);
    if (!options.length) list.append(make("p", {class: "empty"}, "No image has such a name."));
    count.textContent = words.length ? `${options.length} of ${images.length} images` : `${images.length} images`;
    mark(false);
  }

  function mark(reveal) {
    list.removeAttribute("aria-activedescendant");
    for (const option of options) {
      const chosen = Number(option.dataset.i) === current;
      option.setAttribute("aria-selected", chosen);
      if (!chosen) continue;
      list.setAttribute("aria-activedescendant", option.id);
      if (reveal) {
        // Not scrollIntoView: it would also move the page.
        const [a, b] = [list.getBoundingClientRect(), option.getBoundingClientRect()];
        list.scrollTop += Math.min(0, b.top - a.top - 8) + Math.max(0, b.bottom - a.bottom + 8);
        list.scrollLeft += Math.min(0, b.left - a.left - 8) + Math.max(0, b.right - a.right + 8);
      }
    }
  }

  function step(by) {
    if (!options.length) return;
    const at = options.findIndex((option) => Number(option.dataset.i) === current);
    const next = at < 0 ? (by > 0 ? 0 : options.length - 1) : clamp(at + by, 0, options.length - 1);
    choose(dataset, Number(options[next].dataset.i));
  }

  list.addEventListener("keydown", (event) => {
    const by = {ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, PageDown: 10, PageUp: -10,
      Home: -options.length, End: options.length}[event.key];
    if (by === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    step(by);
  });
  search.addEventListener("input", fill);
  search.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "Enter") return;
    event.preventDefault();
    list.focus();
    if (!options.some((option) => Number(option.dataset.i) === current)) step(1);
  });

  return {
    step,
    show(d, i) {
      const other = d !== dataset || !options.length;
      if (d !== dataset) search.value = "";
      [dataset, current] = [d, i];
      if (other) fill();
      mark(true);
    },
  };
}

function explorerRanked(data, choose) {
  const fields = {metric: byId("ex-metric"), of: byId("ex-of"), against: byId("ex-against"), scope: byId("ex-scope")};
  const shown = 6;
  let dataset = 0;
  const directed = data.index.metrics.map((metric, m) => [m, metric]).filter(([, metric]) => metric.better);

  function card(entry, text) {
    const {name, images} = data.index.datasets[entry.d];
    const image = images[entry.i];
    const inOther = fields.scope.value === "all" ? `${name} · ` : "";
    const button = make("button", {type: "button", class: "rank-card"}, thumbnail(data, entry.d, entry.i),
      make("span", {class: "option-text"}, make("bdi", {}, inOther + image.n), make("small", {}, text)));
    sheetOn(button, data, entry.d);
    button.addEventListener("click", () => choose(entry.d, entry.i));
    return make("li", {}, button);
  }

  function put(id, entries, text, empty) {
    const cards = entries.slice(0, shown).map((entry) => card(entry, text(entry)));
    byId(id).replaceChildren(...(cards.length ? cards : [make("li", {class: "empty"}, empty)]));
  }

  function update() {
    const m = Number(fields.metric.value);
    const metric = data.index.metrics[m];
    const scope = fields.scope.value === "all" ? data.index.datasets.map((_, d) => d) : [dataset];
    const one = fields.of.value !== "mean";
    const entries = one ? data.ranking(scope, m, Number(fields.of.value)) : data.meanRanking(scope, m);
    const text = (entry) => one ? `${metric.title} ${scoreText(metric, entry.value)}` : `mean rank at ${percent(entry.fraction)}`;
    const none = `No ${metric.title}${one ? ` of ${data.index.techniques[Number(fields.of.value)].title}` : ""} here.`;
    put("ex-best", entries, text, none);
    put("ex-worst", [...entries].reverse(), text, none);
    const against = Number(fields.against.value);
    const first = one ? Number(fields.of.value) : data.index.techniques.findIndex(({paired}, t) => paired && t !== against);
    const titles = [first, against].map((t) => (data.index.techniques[t] || {title: ""}).title);
    byId("ex-split-h").textContent = `Most disagreed: ${titles.join(" and ")}`;
    const apart = first < 0 || first === against ? [] : data.disagreement(scope, m, first, against);
    put("ex-split", apart, ({ranks}) => `ranks ${ranks.join(" and ")}`,
      first === against ? "Choose two techniques." : "These two have no image in common.");
  }

  if (!directed.length) byId("ex-best").closest(".ex-ranked").hidden = true;
  for (const field of Object.values(fields)) field.addEventListener("change", update);
  return {
    start(first, second) {
      const techniques = data.index.techniques.map(({title}, t) => [t, title]);
      fillSelect(fields.metric, directed.map(([m, metric]) => [m, metric.title]), directed.length ? directed[0][0] : "");
      fillSelect(fields.of, [["mean", "all (mean rank)"], ...techniques], first);
      fillSelect(fields.against, techniques, second);
    },
    show(d) {
      dataset = d;
      if (directed.length) update();
    },
  };
}
