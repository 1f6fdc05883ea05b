"""The study's published means, and ours beside them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import pandas as pd

from octosr.study import names
from octosr.study.inputs import InputError, ScoreSet
from octosr.study.inputs.study_files import STUDY_FILES

COLUMNS = ("metric", "technique", "dataset", "domain", "mean", "std", "n")
SOURCE = (
    "V. A. de Santiago Júnior, AI 2023, 4(3), 598-619, doi 10.3390/ai4030032; raw scores: github.com/vsantjr/DL_BlindSR"
)

SAME_VARIANT = {"niqe_study": "niqe_study", "maniqa_study": "maniqa_study"}
"""Metrics of ours that are computed as the study's, -> the study's metric. (``maniqa_study`` only ever comes from the
study's own files: its weights were not published.)"""

OTHER_VARIANT = {
    "niqe": (
        "niqe_study",
        "Our niqe is the usual NIQE. The study's is another one: other luma, padding and parameters, a coefficient "
        "stored twice, and values of 14 to 25 where the usual one gives 3 to 8. The difference of the two numbers "
        "means nothing; compute niqe_study to compare.",
    ),
    "maniqa": (
        "maniqa_study",
        "The study's MANIQA values were made with weights that its author trained and did not publish. Values of any "
        "public weights are on another scale; at best the ranking of techniques can be compared.",
    ),
}
"""Metrics of ours that bear the name of a metric of the study and are not the same: -> the study's, and why."""


@cache
def _shipped() -> pd.DataFrame:
    with (files("octosr.study") / "data" / "published_means.csv").open(encoding="utf-8") as stream:
        return pd.read_csv(stream)


def published_means() -> pd.DataFrame:
    """The 140 published means: columns :data:`COLUMNS`; metrics ``niqe_study`` and ``maniqa_study``."""
    return _named(_shipped(), "the package's published_means.csv")


def read_means(path: str) -> pd.DataFrame:
    """Means from a CSV file of the same layout.

    Raises:
        InputError: it cannot be read or lacks a column.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as CSV: {error}") from error
    return _named(table, path)


def _named(table: pd.DataFrame, source: str) -> pd.DataFrame:
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise InputError(f"{source} lacks the columns {', '.join(missing)}; it needs {', '.join(COLUMNS)}.")
    return table.assign(
        metric=[f"{m.lower().removesuffix('_study')}_study" for m in table["metric"]],
        technique=table["technique"].map(names.technique_name),
        dataset=table["dataset"].map(names.dataset_name),
    )


def as_table(means: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The means of one metric, datasets x techniques, in the study's order."""
    part = means[means["metric"] == metric]
    wide = part.pivot(index="dataset", columns="technique", values="mean")
    return wide.reindex(index=names.dataset_order(wide.index), columns=names.technique_order(wide.columns))


@dataclass(frozen=True)
class Beside:
    """Our means of one metric beside the study's.

    Attributes:
        metric: ours.
        published: the study's metric.
        frame: columns ``technique``, ``dataset``, ``published``, ``ours``, ``published_n``, ``ours_n``, ``kind``,
            ``comparable``.
        differences: in what the two differ, one sentence each. Empty: in nothing that is known.
    """

    metric: str
    published: str
    frame: pd.DataFrame
    differences: tuple[str, ...]

    @property
    def comparable(self) -> bool:
        """Whether at least one cell was made by the same protocol from the study's images."""
        return bool(self.frame["comparable"].any())


def beside(scores: ScoreSet) -> list[Beside]:
    """Our means beside the published ones, for each of our metrics that has a counterpart and a cell in common."""
    out = []
    published = published_means().set_index(["metric", "technique", "dataset"])
    for metric in scores.metrics:
        counterpart = SAME_VARIANT.get(metric) or _counterpart(metric)
        if counterpart is None:
            continue
        rows = scores.of(metric)
        ours = rows.groupby(["technique", "dataset"], observed=True)["value"].agg(["mean", "count"])
        both = published.loc[counterpart].join(ours, how="inner", rsuffix="_ours")
        both = both[both["count"] > 0]
        if both.empty:
            continue
        frame = both.reset_index()[["technique", "dataset", "mean", "mean_ours", "n", "count"]]
        frame.columns = ["technique", "dataset", "published", "ours", "published_n", "ours_n"]
        frame["kind"] = [scores.kinds.get(c, "unknown") for c in zip(frame["technique"], frame["dataset"], strict=True)]
        same = metric in SAME_VARIANT
        cells = zip(frame["technique"], frame["dataset"], strict=True)
        frame["comparable"] = [same and cell in scores.studied for cell in cells]
        frame["comparable"] &= frame["published_n"] == frame["ours_n"]
        order = {name: i for i, name in enumerate(names.dataset_order(frame["dataset"]))}
        frame = frame.sort_values(["dataset", "technique"], key=lambda c: c.map(order) if c.name == "dataset" else c)
        out.append(
            Beside(metric, counterpart, frame.reset_index(drop=True), tuple(_differences(scores, metric, frame)))
        )
    return out


def _counterpart(metric: str) -> str | None:
    for name, (counterpart, _) in OTHER_VARIANT.items():
        if metric == name or metric.startswith(f"{name}_"):
            return counterpart
    return None


def _differences(scores: ScoreSet, metric: str, frame: pd.DataFrame) -> list[str]:
    cells = list(zip(frame["technique"], frame["dataset"], strict=True))
    made = [scores.definitions.get((*cell, metric), {}).get("implementation") for cell in cells]
    if all(implementation == STUDY_FILES for implementation in made):
        return []  # the study's own scores, read from its files
    out = []
    if metric not in SAME_VARIANT:
        out.append(next(why for name, (_, why) in OTHER_VARIANT.items() if metric.startswith(name)))
    standins = int((frame["kind"] == "stand-in").sum())
    if standins:
        out.append(f"{standins} of {len(frame)} cells are of STAND-IN data: other images than the study's.")
    named = sum(k == "study" and c not in scores.studied for c, k in zip(cells, frame["kind"], strict=True))
    if named:
        out.append(f"{named} of {len(frame)} cells are of images that are not named as the study's are.")
    others = sorted(set(frame["kind"]) - {"study", "stand-in"})
    if others:
        n = int(frame["kind"].isin(others).sum())
        out.append(
            f"{n} of {len(frame)} cells are of images that are not known to be the study's ({', '.join(others)})."
        )
    fewer = frame[frame["published_n"] != frame["ours_n"]]
    if len(fewer):
        low, high = int(fewer["ours_n"].min()), int(fewer["ours_n"].max())
        count = f"{low}" if low == high else f"{low} to {high}"
        out.append(f"{len(fewer)} of {len(frame)} cells have {count} images where the study has 100.")
    out.append(
        "The study's trained networks were not published: ours are the authors' public weights or trained by us."
        + (
            " APA and FastGAN are sampled: their images are other images in every training."
            if any(names.is_generative(t) for t in frame["technique"])
            else ""
        )
    )
    return out
