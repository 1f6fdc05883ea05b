"""Crops, pooling and counting at full image sizes, against pyiqa's own class with 20 crops (narrow network)."""
# ruff: noqa: NPY002  (the official script draws from NumPy's global generator)

import numpy as np
import pytest
import torch
from PIL import Image

from octosr.metrics.checks import UnscorableImageError
from octosr.metrics.functional.maniqa import (
    distinct,
    enlarged,
    mean_score,
    official_positions,
    pooled_score,
    study_resized,
    uniform_positions,
)
from octosr.metrics.maniqa import Maniqa
from octosr.metrics.maniqa_network import crop_sums

SIZES = [  # images, height and width, distinct crops of each
    (1, (512, 512), 20),
    (1, (300, 700), 20),
    (1, (227, 400), 5),
    (1, (400, 226), 4),
    (2, (109, 150), 5),  # 109 becomes 224, not 225
]


def picture_bytes(image):
    return np.rint(image.permute(1, 2, 0).numpy() * 255).astype(np.uint8)


def test_uniform_positions_are_those_of_pyiqa():
    """Each pixel of this image holds its own place, so the crops of pyiqa say where they were taken."""
    from pyiqa.archs.arch_util import uniform_crop

    for height, width in [(225, 225), (226, 1024), (300, 700), (512, 512), (768, 1024), (1080, 1920)]:
        place = torch.arange(height * width, dtype=torch.float64).reshape(1, 1, height, width)
        corners = uniform_crop(place, crop_size=224, crop_num=20)[:, 0, 0, 0].long()
        expected = [(int(c) // width, int(c) % width) for c in corners]
        assert uniform_positions(height, width) == expected


def test_official_positions_are_drawn_as_the_script_draws_them():
    state = np.random.get_state()
    try:
        np.random.seed(20)
        expected = []
        for _ in range(20):
            top = np.random.randint(0, 300 - 224)
            left = np.random.randint(0, 1024 - 224)
            expected.append((top, left))
    finally:
        np.random.set_state(state)
    assert official_positions(300, 1024) == expected
    assert set(official_positions(225, 225)) == {(0, 0)}  # the upper bound is exclusive
    after = np.random.get_state()
    assert state[0] == after[0]
    np.testing.assert_array_equal(state[1], after[1])  # the run's own random numbers are not touched
    for height, width in ((224, 300), (300, 224), (100, 100)):
        with pytest.raises(ValueError, match="at least 225"):
            official_positions(height, width)


def test_pooling_with_multiplicities_is_pooling_of_the_repeated_crops():
    sums = torch.rand(3, 4, 2, dtype=torch.float64) + 0.1
    repeated = sums[:, [0, 0, 1, 2, 2, 2, 3]]
    multiplicity = [2, 1, 3, 1]
    pooled = repeated[..., 0].sum(1) / (repeated[..., 1].sum(1) + 1e-8)
    torch.testing.assert_close(pooled_score(sums, multiplicity), pooled, rtol=1e-14, atol=0)
    mean = (repeated[..., 0] / repeated[..., 1]).mean(1)
    torch.testing.assert_close(mean_score(sums, multiplicity), mean, rtol=1e-14, atol=0)
    assert (pooled - mean).abs().max() > 1e-3
    assert distinct([(1, 2), (0, 0), (1, 2)]) == ([(1, 2), (0, 0)], [2, 1])


def test_study_images_are_pillows_bicubic_on_eight_bits(pictures):
    images = pictures(2, 300, 180)
    small = study_resized(images)
    for image, resized in zip(images, small, strict=True):
        expected = np.asarray(Image.fromarray(picture_bytes(image)).resize((224, 224), Image.Resampling.BICUBIC))
        np.testing.assert_array_equal(resized.numpy(), expected.transpose(2, 0, 1).astype(np.float32) / 255)
    assert torch.equal(study_resized(small), small)  # 224x224 stays as it is


@pytest.mark.parametrize(("count", "size", "crops"), SIZES)
def test_pyiqa_protocol_equals_pyiqa(tiny, theirs, pictures, count, size, crops):
    """pyiqa computes 20 crops of each image, whether they differ or not."""
    images = pictures(count, *size)
    metric = Maniqa(tiny, protocol="pyiqa")
    scores = metric.score(images)
    with torch.no_grad():
        expected = theirs(tiny)(images).reshape(count)
    torch.testing.assert_close(scores, expected.double(), rtol=1e-5, atol=0)
    assert metric.crop_forwards == count * crops
    if count == 2:
        assert abs(float(scores[0] - scores[1])) > 1e-4


def test_study_protocol_equals_pyiqa_on_the_resized_image_with_a_twentieth_of_the_forwards(tiny, theirs, pictures):
    images = pictures(2, 400, 300)
    reference, seen = theirs(tiny), []
    reference.vit.blocks[0].register_forward_hook(lambda block, args, output: seen.append(len(args[0])))
    resized = torch.stack(
        [
            torch.from_numpy(
                np.asarray(Image.fromarray(picture_bytes(image)).resize((224, 224), Image.Resampling.BICUBIC)).copy()
            )
            for image in images
        ]
    )
    with torch.no_grad():
        expected = reference(resized.permute(0, 3, 1, 2).float() / 255).reshape(2)
    metric = Maniqa(tiny)
    ours = []
    metric._network(images.device).vit.blocks[0].register_forward_hook(
        lambda block, args, output: ours.append(len(args[0]))
    )
    torch.testing.assert_close(metric.score(images), expected.double(), rtol=1e-5, atol=0)
    assert sum(seen) == 40
    assert sum(ours) == metric.crop_forwards == 2


def test_official_protocols_are_the_official_pooling_of_the_crops(tiny, pictures):
    images = pictures(2, 260, 330)[:1]
    metric = Maniqa(tiny, protocol="official")
    network, expected = metric._network(images.device), []
    for image in images:
        total = 0.0
        for top, left in official_positions(260, 330):
            sums = crop_sums(network, image[None, :, top : top + 224, left : left + 224] * 2 - 1)[0]
            total += float(sums[0] / sums[1])
        expected.append(total / 20)
    np.testing.assert_allclose(metric.score(images).numpy(), expected, rtol=1e-6)
    assert metric.crop_forwards == 20
    single = Maniqa(tiny, protocol="study_official")
    sums = crop_sums(network, study_resized(images) * 2 - 1)
    np.testing.assert_allclose(single.score(images).numpy(), (sums[:, 0] / sums[:, 1]).numpy(), rtol=1e-6)
    assert single.crop_forwards == 1
    assert (single.score(images) - Maniqa(tiny).score(images)).abs().min() > 1e-5  # no enlargement


def test_official_protocol_refuses_small_images(tiny, pictures):
    metric = Maniqa(tiny, protocol="official", name="maniqa_official")
    with pytest.raises(
        UnscorableImageError, match=r"at least 225 pixels.*300x224.*maniqa_official\.protocol"
    ) as caught:
        metric.score(pictures(2, 224, 300))
    assert caught.value.positions == (0, 1)
    assert metric.score(pictures(1, 225, 225)).shape == (1,)
    assert metric.crop_forwards == 1  # 20 times the same crop


@pytest.mark.parametrize(("protocol", "size"), [("study", (300, 200)), ("pyiqa", (227, 300)), ("official", (226, 225))])
def test_a_batch_is_what_its_images_are(tiny, pictures, protocol, size):
    images = pictures(2, *size)
    metric = Maniqa(tiny, protocol=protocol)
    together = metric.score(images)
    alone = torch.cat([metric.score(image) for image in images.split(1)])
    assert torch.equal(together, alone)  # crops go one by one on the CPU
    forwards = metric.crop_forwards
    shared = Maniqa(tiny, protocol=protocol, max_crops=3)
    torch.testing.assert_close(shared.score(images), together, rtol=1e-5, atol=0)
    assert shared.crop_forwards == forwards / 2


def test_forwards_hold_crops_of_several_images_up_to_the_limit(tiny, pictures):
    metric = Maniqa(tiny, max_crops=4)
    sizes = []
    metric._network(torch.device("cpu")).vit.blocks[0].register_forward_hook(
        lambda block, args, output: sizes.append(len(args[0]))
    )
    metric.score(pictures(6, 80, 80))
    Maniqa(tiny, protocol="pyiqa", max_crops=8).score(pictures(2, 227, 300))  # the same network
    assert sizes == [4, 2, 8, 2]


def test_enlarging_leaves_larger_images_alone(pictures):
    images = pictures(1, 225, 300)
    assert enlarged(images) is images
