"""When there are too few values for a test: when even the most extreme outcome would not be significant."""

from __future__ import annotations

import math


def smallest_wilcoxon_p(pairs: int) -> float:
    """The smallest two-sided p value that the signed-rank test can give: all differences of one sign.

    >>> smallest_wilcoxon_p(5), smallest_wilcoxon_p(6)
    (0.0625, 0.03125)
    """
    return min(1.0, 2.0 ** (1 - pairs))


def smallest_mannwhitney_p(n_a: int, n_b: int) -> float:
    """The smallest two-sided p value that the rank-sum test can give: the two samples do not overlap.

    >>> smallest_mannwhitney_p(3, 3), round(smallest_mannwhitney_p(4, 4), 4)
    (0.1, 0.0286)
    """
    return min(1.0, 2 / math.comb(n_a + n_b, n_a)) if n_a and n_b else 1.0
