"""What a report can be told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """Settings of a report; None means chosen from the scores.

    Attributes:
        title: the report's title.
        pair: the two techniques whose behaviours are compared; None: the two best overall of those that pair up.
        behaviour_metric: the metric they are compared by; None: MANIQA as in the study, else the first one.
        k: size of the best and worst sets.
        improvement_pairs: technique pairs for the improvement tables; None: the two best of each metric.
        overall: metrics that the overall ranking counts; None: one NIQE and one MANIQA, else all.
        alpha: significance level, after Holm's correction.
        level: confidence level of the intervals.
        resamples: bootstrap resamples.
        seed: of the bootstrap.
        techniques: techniques that should be there, so that missing ones are listed.
        datasets: datasets that should be there.
    """

    title: str = "Blind super-resolution at 8x: the study"
    pair: tuple[str, str] | None = None
    behaviour_metric: str | None = None
    k: int = 10
    improvement_pairs: tuple[tuple[str, str], ...] | None = None
    overall: tuple[str, ...] | None = None
    alpha: float = 0.05
    level: float = 0.95
    resamples: int = 2000
    seed: int = 0
    techniques: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: one of them cannot be.
        """
        if self.k < 1:
            raise ValueError(f"k must be at least 1, but is {self.k}.")
        if not 0 < self.alpha < 1 or not 0 < self.level < 1:
            raise ValueError(f"alpha and level must lie between 0 and 1, but are {self.alpha} and {self.level}.")
        if self.resamples < 100:
            raise ValueError(f"resamples must be at least 100, but is {self.resamples}.")
        if self.pair is not None and self.pair[0] == self.pair[1]:
            raise ValueError(f"pair needs two different techniques, but both are {self.pair[0]}.")
