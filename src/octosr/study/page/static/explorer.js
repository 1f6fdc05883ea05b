// The image explorer: one state, shown by the list, the stage, the table of scores and the ranked lists.
function explorer() {
  const data = explorerData();
  const {index} = data;
  const state = {d: 0, i: 0, left: null, right: null};
  const stage = explorerStage(data);
  const list = explorerList(data, choose);
  const ranked = explorerRanked(data, choose);
  const fields = {dataset: byId("ex-dataset"), left: byId("ex-left"), right: byId("ex-right")};

  function choose(d, i) {
    state.d = d;
    state.i = i;
    show();
  }

  // The source wished for, or what comes nearest to it for this image.
  function pick(wished, sources, fallback) {
    if (sources.includes(wished)) return wished;
    return sources.length ? sources[fallback < 0 ? sources.length + fallback : Math.min(fallback, sources.length - 1)] : null;
  }

  function show() {
    const {d, i} = state;
    const sources = data.available(d, i);
    const left = pick(state.left, sources, 0);
    const right = pick(state.right, sources, -1);
    fields.dataset.value = d;
    for (const [field, chosen] of [[fields.left, left], [fields.right, right]]) {
      fillSelect(field, sources.map((s) => [s, data.sourceTitle(s)]), chosen);
      field.disabled = sources.length < 2;
    }
    byId("ex-swap").disabled = sources.length < 2;
    byId("ex-name").replaceChildren(make("bdi", {}, index.datasets[d].images[i].n));
    list.show(d, i);
    ranked.show(d);
    scores(left, right);
    extras(sources);
    stage.show(d, i, left, right);
  }

  function scores(left, right) {
    const image = index.datasets[state.d].images[state.i];
    const shown = index.techniques.map((_, t) => t).filter((t) => index.metrics.some((_, m) => data.score(image, m, t) !== null));
    const head = make("tr", {}, make("th", {scope: "col"}, "Technique"),
      ...index.metrics.map(({title, better}) => make("th", {scope: "col", class: "n"},
        better ? `${title} ${better === "min" ? "↓" : "↑"}` : title,
        make("span", {class: "sr"}, better ? ` (${better === "min" ? "lower" : "higher"} is better)` : ""))));
    const best = index.metrics.map((metric, m) => {
      const values = shown.map((t) => data.score(image, m, t)).filter((value) => value !== null);
      if (!metric.better || values.length < 2) return null;
      return metric.better === "min" ? Math.min(...values) : Math.max(...values);
    });
    const rows = shown.map((t) => {
      const name = make("th", {scope: "row"});
      if (index.marks[t]) name.append(make("span", {class: `dot ${index.marks[t]}`, "aria-hidden": "true"}));
      name.append(index.techniques[t].title);
      [["left", left], ["right", right]].forEach(([side, s]) => {
        if (s !== null && index.sources[s].technique === t) name.append(make("span", {class: "side-tag"}, side));
      });
      return make("tr", {}, name, ...index.metrics.map((metric, m) => {
        const value = data.score(image, m, t);
        const marked = value !== null && value === best[m];
        const cell = make("td", {class: `n${marked ? " best" : ""}`}, make("span", {class: "value"}, scoreText(metric, value)));
        if (marked) cell.append(make("span", {class: "sr"}, " (best)"));
        if (value !== null && metric.better) {
          const all = data.ranking([state.d], m, t);
          const own = all.find((entry) => entry.i === state.i);
          cell.append(make("small", {}, ` (${own.rank} of ${all.length})`));
        }
        return cell;
      }));
    });
    byId("ex-table").replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
  }

  function extras(sources) {
    const image = index.datasets[state.d].images[state.i];
    const embedded = (data.picturesOf(state.d).previews[state.i] || {kernels: {}}).kernels;
    const kernels = Object.entries(image.k || {}).flatMap(([s, files]) => files.map((file, k) => {
      const picture = make("img", {src: (embedded[s] || [])[k] || file, class: "pixels", alt: `Kernel estimated by ${data.sourceTitle(s)}`});
      return make("figure", {}, picture, make("figcaption", {}, data.sourceTitle(s)));
    }));
    byId("ex-kernels").replaceChildren(...(kernels.length
      ? [make("h3", {}, "Estimated kernels"), make("div", {class: "kernels"}, ...kernels)] : []));
    const links = sources.map((s) => [s, data.picture(state.d, state.i, s).full]).filter(([, full]) => full)
      .map(([s, full]) => make("li", {}, make("a", {href: full, target: "_blank", rel: "noopener"}, data.sourceTitle(s))));
    byId("ex-links").replaceChildren(make("h3", {}, "Full images"), links.length
      ? make("ul", {class: "links"}, ...links) : make("p", {class: "empty"}, "No image file of it was found when this page was made."));
  }

  // Techniques by their mean in the first metric that has a direction; the study's before baselines and probes.
  function favourites() {
    const m = index.metrics.findIndex((metric) => metric.better);
    const every = index.datasets.map((_, d) => d);
    const sign = m >= 0 && index.metrics[m].better === "min" ? 1 : -1;
    const candidates = index.techniques.map(({paired, study}, t) => {
      const entries = m < 0 ? [] : data.ranking(every, m, t);
      const mean = entries.reduce((sum, entry) => sum + entry.value, 0) / entries.length;
      return {t, order: [paired ? 0 : 1, study ? 0 : 1, entries.length ? sign * mean : Infinity]};
    });
    candidates.sort((a, b) => a.order.map((value, k) => value - b.order[k]).find(Boolean) || a.t - b.t);
    return candidates.map(({t}) => t);
  }

  function start() {
    const domains = [...new Set(index.datasets.map(({domain}) => domain))];
    fields.dataset.replaceChildren(...domains.map((domain) => make("optgroup", {label: domain},
      ...index.datasets.flatMap((dataset, d) => dataset.domain === domain ? [make("option", {value: d}, dataset.name)] : []))));
    const bicubic = index.sources.findIndex((source) => source.kind === "bicubic"
      || (source.kind === "technique" && index.techniques[source.technique].name === "bicubic"));
    const [first, second = first] = favourites();
    state.left = bicubic >= 0 ? bicubic : 0;
    state.right = index.sources.findIndex((source) => source.technique === first);
    ranked.start(first, second);
    fields.dataset.addEventListener("change", () => choose(Number(fields.dataset.value), firstShown(Number(fields.dataset.value))));
    for (const side of ["left", "right"]) {
      fields[side].addEventListener("change", () => {
        state[side] = Number(fields[side].value);
        show();
      });
    }
    byId("ex-swap").addEventListener("click", () => {
      [state.left, state.right] = [Number(fields.right.value), Number(fields.left.value)];
      show();
    });
    byId("ex-prev").addEventListener("click", () => list.step(-1));
    byId("ex-next").addEventListener("click", () => list.step(1));
    byId("ex").hidden = false;
    choose(0, firstShown(0));
  }

  // An image with a picture inside the page, if there is one: it shows at once, wherever the page lies.
  function firstShown(d) {
    const embedded = Object.keys(data.picturesOf(d).previews).map(Number);
    return embedded.length ? embedded[0] : 0;
  }

  start();
}

if (byId("explorer-index")) explorer();
