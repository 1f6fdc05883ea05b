"""Which images are worth a place in the page."""

import numpy as np

from octosr.study.page.picks import interleaved, picks, quality_ranks

NAN = float("nan")


def test_ranks_within_a_technique():
    ranks = quality_ranks(np.array([[1.0, 2.0, 2.0, 9.0, NAN]]), higher_is_better=True)
    np.testing.assert_allclose(ranks, [[1.0, 0.5, 0.5, 0.0, NAN]])


def test_best_worst_and_most_disagreed_come_first():
    # Image 3 is best for both, image 0 worst for both, image 2 is good for one technique and bad for the other.
    scores = np.array([[[1.0, 5.0, 8.0, 9.0, 6.0, 4.0], [1.0, 5.0, 2.0, 9.0, 6.0, 4.0]]])
    assert list(picks(scores, [True]))[:3] == [3, 0, 2]
    assert list(picks(scores, [False]))[:3] == [0, 3, 2]


def test_every_image_comes_once_those_without_scores_last():
    scores = np.array([[[NAN, 3.0, NAN, 1.0, 2.0]], [[NAN, 1.0, NAN, 2.0, NAN]]])
    order = list(picks(scores, [True, False]))
    assert sorted(order) == [0, 1, 2, 3, 4]
    assert order[-2:] == [0, 2]


def test_no_scores_at_all():
    assert list(picks(np.full((1, 2, 3), NAN), [None])) == [0, 1, 2]
    assert list(picks(np.zeros((0, 2, 3)), [])) == [0, 1, 2]
    assert list(picks(np.zeros((1, 0, 2)), [True])) == [0, 1]


def test_samples_of_generators_take_turns():
    assert interleaved([0, 1, 2, 3, 4], [[10, 11, 12], [20]]) == [0, 1, 2, 10, 20, 3, 4, 11, 12]
    assert interleaved([], []) == []
