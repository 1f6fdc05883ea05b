"""Does a metric call images better after noise was added to them?"""

from __future__ import annotations

import numpy as np

from octosr.study import names
from octosr.study.analysis import Analysis
from octosr.study.document import Gate
from octosr.study.statistics.pairwise import holm, paired

PROBE, PLAIN = "bicubic_noise", "bicubic"
HOW = (
    "Not evaluated: python eval.py -m technique=bicubic,bicubic_noise 'dataset=glob(*)' makes the same enlargements "
    "with and without noise."
)


def noise_gates(analysis: Analysis) -> list[Gate]:
    """One gate a metric, from the probe ``bicubic_noise``: bicubic enlargements with a little seeded noise."""
    return [_gate(analysis, metric) for metric in analysis.metrics]


def _gate(analysis: Analysis, metric: str) -> Gate:
    key, title = f"gate-noise-{metric}", names.metric_title(metric)
    question = f"Does {title} get worse, as it should, when noise is added to the same images?"
    rows = analysis.scores.of(metric, probes=True)
    rows = rows[rows["technique"].isin([PROBE, PLAIN]) & rows["value"].notna()]
    both = rows.pivot(index=["dataset", "image"], columns="technique", values="value")
    both = both.reindex(columns=[PLAIN, PROBE]).dropna()
    if both.empty:
        return Gate(key, question, "unknown", HOW)
    sign = 1 if analysis.higher(metric) else -1
    alpha = analysis.options.alpha
    tests = {
        str(dataset): paired(sign * part[PROBE].to_numpy(), sign * part[PLAIN].to_numpy(), alpha)
        for dataset, part in both.groupby(level="dataset", sort=False)
    }
    tests = {d: (effect, p) for d, (effect, p) in tests.items() if p == p}
    before, after = (f"{both[c].mean():.4g}".replace("inf", "infinite") for c in (PLAIN, PROBE))
    share = (sign * (both[PROBE] - both[PLAIN]) > 0).mean()
    finding = f"Mean {before} without and {after} with noise; {share:.0%} of {len(both)} images score better with it."
    if not tests:
        return Gate(key, question, "unknown", f"{finding} Too few images on each dataset for a test.")
    corrected = holm(np.array([p for _, p in tests.values()]))
    fooled = [d for (d, (effect, _)), p in zip(tests.items(), corrected, strict=True) if p <= alpha and effect > 0]
    if not fooled:
        return Gate(key, question, "pass", f"{finding} On none of {len(tests)} datasets are they significantly better.")
    finding += f" Significantly better on {len(fooled)} of {len(tests)} datasets ({', '.join(fooled)}): there {title} "
    return Gate(key, question, "warn", finding + "takes noise for detail, and small gains by it prove nothing.")
