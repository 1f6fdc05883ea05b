// What the explorer knows: names, scores, ranks, and where the pictures of an image are.
function explorerData() {
  const index = readJson("explorer-index");
  const pictures = new Map();
  const rankCache = new Map();

  // Parsed when a dataset is first looked at: together they are most of the page.
  function picturesOf(d) {
    if (!pictures.has(d)) pictures.set(d, readJson(`explorer-pictures-${d}`));
    return pictures.get(d);
  }

  function score(image, m, t) {
    const row = image.s[m];
    const value = image.g === undefined ? row[t] : image.g === t ? row[0] : null;
    return value === null ? null : Number(value);
  }

  function sourceTitle(s) {
    const source = index.sources[s];
    if (source.kind === "lr") return "LR input";
    if (source.kind === "bicubic") return "Bicubic";
    if (source.kind === "reference") return "HR reference";
    return index.techniques[source.technique].title;
  }

  // `embedded`: inside this page; `full`: a file on the disk.
  function picture(d, i, s) {
    const dataset = index.datasets[d];
    const image = dataset.images[i];
    const preview = picturesOf(d).previews[i];
    const file = image.f[s];
    const full = file === 0 ? null : dataset.folders[s] + (file === 1 ? `${image.n}.png` : file);
    return {embedded: (preview && preview.uris[s]) || null, full};
  }

  const available = (d, i) => index.sources.map((_, s) => s).filter((s) => {
    const found = picture(d, i, s);
    return found.embedded || found.full;
  });

  // Ranks of a technique's images within the datasets given, as [{d, i, value, fraction}], best first.
  function ranking(datasets, m, t) {
    const key = `${datasets.join()}|${m}|${t}`;
    if (rankCache.has(key)) return rankCache.get(key);
    const entries = [];
    for (const d of datasets) {
      index.datasets[d].images.forEach((image, i) => {
        const value = score(image, m, t);
        if (value !== null) entries.push({d, i, value});
      });
    }
    const sign = index.metrics[m].better === "min" ? 1 : -1;
    entries.sort((a, b) => sign * (a.value - b.value) || a.d - b.d || a.i - b.i);
    const last = Math.max(1, entries.length - 1);
    for (let start = 0, end; start < entries.length; start = end) {
      for (end = start + 1; end < entries.length && entries[end].value === entries[start].value;) end += 1;
      for (let k = start; k < end; k += 1) {
        entries[k].rank = start + 1;
        entries[k].fraction = (start + end - 1) / 2 / last; // ties share the mean rank
      }
    }
    rankCache.set(key, entries);
    return entries;
  }

  // Mean of the ranks over all techniques, best first.
  function meanRanking(datasets, m) {
    const sums = new Map();
    index.techniques.forEach((_, t) => {
      for (const {d, i, fraction} of ranking(datasets, m, t)) {
        const key = `${d}/${i}`;
        const sum = sums.get(key) || {d, i, total: 0, count: 0};
        sum.total += fraction;
        sum.count += 1;
        sums.set(key, sum);
      }
    });
    const entries = [...sums.values()].map(({d, i, total, count}) => ({d, i, fraction: total / count}));
    return entries.sort((a, b) => a.fraction - b.fraction || a.d - b.d || a.i - b.i);
  }

  // Images that two techniques rank most differently, largest difference first.
  function disagreement(datasets, m, t, u) {
    const other = new Map(ranking(datasets, m, u).map((entry) => [`${entry.d}/${entry.i}`, entry]));
    const entries = [];
    for (const entry of ranking(datasets, m, t)) {
      const match = other.get(`${entry.d}/${entry.i}`);
      if (match) entries.push({d: entry.d, i: entry.i, ranks: [entry.rank, match.rank],
        gap: Math.abs(entry.fraction - match.fraction)});
    }
    return entries.sort((a, b) => b.gap - a.gap || a.d - b.d || a.i - b.i);
  }

  return {index, picturesOf, score, sourceTitle, picture, available, ranking, meanRanking, disagreement};
}

const scoreText = (metric, value) => value === null ? "–" : Number.isFinite(value) ? value.toFixed(metric.digits) : "∞";
const percent = (fraction) => `${Math.round(100 * fraction)} %`;
