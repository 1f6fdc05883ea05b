"""Agreement of metrics against ranks by numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from octosr.study.agreement import agreement, metric_pairs
from octosr.study.inputs import ScoreSet


def rho(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(np.argsort(np.argsort(x)), np.argsort(np.argsort(y)))[0, 1])


def test_over_all_per_technique_and_per_dataset(make_scores: Callable[..., ScoreSet]) -> None:
    rng = np.random.default_rng(0)
    niqe, maniqa = rng.random((2, 2, 2, 12))  # technique, dataset, image
    names = [("dan", "apa"), ("ships", "demo")]
    values = {}
    for t, technique in enumerate(names[0]):
        for d, dataset in enumerate(names[1]):
            values[technique, dataset, "niqe"] = niqe[t, d].tolist()
            values[technique, dataset, "maniqa"] = maniqa[t, d].tolist()
    values["bicubic_noise", "ships", "niqe"] = values["bicubic_noise", "ships", "maniqa"] = [0.0] * 12
    table = agreement(make_scores(values), "niqe", "maniqa").set_index(["over", "name"])
    assert table.loc[("all", "all"), "images"] == 48
    assert table.loc[("all", "all"), "spearman"] == pytest.approx(rho(niqe.ravel(), maniqa.ravel()))
    assert table.loc[("technique", "apa"), "spearman"] == pytest.approx(rho(niqe[1].ravel(), maniqa[1].ravel()))
    assert table.loc[("dataset", "demo"), "spearman"] == pytest.approx(rho(niqe[:, 1].ravel(), maniqa[:, 1].ravel()))
    assert (table["agreement"] == -table["spearman"]).all()  # low NIQE and high MANIQA are good


def test_same_direction_keeps_the_sign_and_few_images_give_none(make_scores: Callable[..., ScoreSet]) -> None:
    scores = make_scores({("dan", "x", "psnr"): [1, 2, 3], ("dan", "x", "ssim"): [0.1, 0.2, 0.3]})
    assert agreement(scores, "psnr", "ssim")["agreement"].tolist() == [1, 1, 1]
    two = make_scores({("dan", "x", "psnr"): [1, 2], ("dan", "x", "ssim"): [0.1, 0.2]})
    assert agreement(two, "psnr", "ssim")["spearman"].isna().all()
    assert metric_pairs(["a"]) == []
