"""The two losses against slow references, what LR images are made of, and that both networks learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from octosr.degradation.resize import resize
from octosr.degradation.rounding import quantise
from octosr.techniques.blindsr.network import initialise
from octosr.techniques.blindsr.training import (
    Drawing,
    discriminator_loss,
    discriminator_losses,
    generator_loss,
    make_pairs,
    wrong_blur,
)

IDS = torch.tensor([4, 5])


def test_pairs_are_8_bit_images_of_the_inside(small_stage, smooth_images):
    stage, hr = small_stage(), smooth_images(2, 48, 44)
    pairs = make_pairs(stage, hr, IDS, Drawing(seed=1))
    assert torch.equal(pairs.lr, quantise(pairs.lr))
    assert torch.equal(pairs.hr, hr[..., 12:36, 12:32])
    assert torch.equal(pairs.enlarged, resize(pairs.lr, (24, 20)))
    kernel = stage.space.kernels(stage.space.draw(1, IDS, "true/0"))[1].float()
    expected = torch.nn.functional.conv2d(hr[1][:, None], kernel[None, None], stride=2)[:, 0]
    assert (pairs.lr[1] - expected).abs().max() <= 0.5 / 255 + 1e-6


def test_pairs_of_the_published_kernels_are_as_published(small_stage, smooth_images):
    """LR images are not rounded; what is enlarged, by Pillow, is an 8-bit copy without its fractions."""
    stage, hr = small_stage(published=True), smooth_images(2, 54, 54)
    pairs = make_pairs(stage, hr, IDS, Drawing())
    assert torch.equal(pairs.hr, hr[..., 7:47, 7:47])
    assert not torch.equal(pairs.lr, quantise(pairs.lr))
    for lr, enlarged in zip(pairs.lr, pairs.enlarged, strict=True):
        image = Image.fromarray((lr.permute(1, 2, 0).numpy() * 255).astype(np.uint8))
        expected = np.asarray(image.resize((40, 40), Image.Resampling.BICUBIC)).astype(int)
        found = (enlarged.permute(1, 2, 0) * 255).round().int().numpy()
        assert np.abs(found - expected).max() <= 1  # Pillow's weights are rounded to 22 bits
        assert (found != expected).mean() < 0.03


def test_generator_loss_is_l1_for_the_true_kernel(small_stage, smooth_images):
    stage, hr = small_stage().double(), smooth_images(2, 48, 48).double()
    found = generator_loss(stage, hr, IDS, Drawing(seed=2))
    kernels = stage.space.kernels(stage.space.draw(2, IDS, "true/0"))
    total = 0.0
    for image, kernel in zip(hr, kernels, strict=True):
        lr = quantise(torch.nn.functional.conv2d(image[:, None], kernel[None, None], stride=2))[:, 0][None]
        made = stage.generator(lr, resize(lr, (24, 24)), stage.generator.encode(kernel[None]))
        total += (made.sr[0] - image[:, 12:36, 12:36]).abs().mean().item() / 2
    assert found.item() == pytest.approx(total, abs=1e-7)  # the loss is taken in single precision


@pytest.mark.parametrize("mosaic", [0.0, 1.0])
def test_discriminator_loss_compares_with_the_generator_and_not_with_the_image(small_stage, smooth_images, mosaic):
    stage, hr = small_stage().double(), smooth_images(2, 48, 48).double()
    drawing = Drawing(seed=3, mosaic=mosaic, near_share=0.5)
    wrong, true = discriminator_losses(stage, hr, IDS, drawing)
    pairs = make_pairs(stage, hr, IDS, drawing)
    blame = wrong_blur(stage, pairs, IDS, drawing)

    def judge(n, blur):
        codes = blur.codes(stage.generator.encode(stage.space.kernels(blur.parameters)))[n : n + 1]
        made = stage.generator(pairs.lr[n : n + 1], pairs.enlarged[n : n + 1], codes)
        return made.sr, stage.discriminator(pairs.lr[n : n + 1], made.features, made.codes)

    for_wrong = for_true = 0.0
    for n in range(2):
        (bad, said), (good, silent) = judge(n, blame), judge(n, pairs.blur)
        for_wrong += (said - (bad - good)).abs().mean().item() / 2
        for_true += silent.abs().mean().item() / 2
    assert wrong.item() == pytest.approx(for_wrong, abs=1e-7)
    assert true.item() == pytest.approx(for_true, abs=1e-7)
    assert discriminator_loss((wrong, true)).item() == pytest.approx(0.9 * for_wrong + 0.1 * for_true, abs=1e-7)


def test_losses_of_a_batch_are_those_of_its_samples(small_stage, smooth_images):
    """Whatever else is in the batch: randomness is a function of the sample."""
    stage, hr = small_stage(), smooth_images(2, 48, 48)
    drawing = Drawing(seed=0, mosaic=0.5, near_share=0.5)
    for loss in (
        lambda h, i: generator_loss(stage, h, i, drawing),
        lambda h, i: discriminator_loss(discriminator_losses(stage, h, i, drawing)),
    ):
        alone = sum(loss(hr[n : n + 1], IDS[n : n + 1]).item() for n in range(2)) / 2
        assert loss(hr, IDS).item() == pytest.approx(alone, abs=1e-6)


def test_discriminator_learns_and_leaves_the_generator_alone(small_stage, smooth_images):
    stage, hr = small_stage(), smooth_images(4, 48, 48)
    initialise(stage.discriminator)
    before = [p.clone() for p in stage.generator.parameters()]
    optimizer = torch.optim.Adam(stage.discriminator.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = discriminator_loss(discriminator_losses(stage, hr, torch.arange(4), Drawing()))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert all(torch.equal(a, b) for a, b in zip(before, stage.generator.parameters(), strict=True))
    assert all(p.grad is None for p in stage.generator.parameters())


@pytest.mark.slow
def test_generator_learns_to_use_the_kernel(small_stage, smooth_images):
    """After some steps it beats bicubic with the true kernels, and does worse with each other's."""
    stage, hr = small_stage(features=16, growth=8), smooth_images(8, 72, 72)
    initialise(stage.generator)
    optimizer = torch.optim.Adam(stage.generator.parameters(), lr=3e-3)
    for step in range(250):
        optimizer.zero_grad()
        generator_loss(stage, hr, torch.arange(8) + 8 * step, Drawing()).backward()
        optimizer.step()
    pairs = make_pairs(stage, hr, 10_000 + torch.arange(8), Drawing())
    with torch.no_grad():
        parameters = pairs.blur.parameters[:, 0]
        errors = [
            (image - pairs.hr).abs().mean().item()
            for image in (
                stage.generate(pairs.lr, parameters).sr,
                stage.generate(pairs.lr, parameters.roll(1, 0)).sr,
                pairs.enlarged,
            )
        ]
    assert errors[0] < 0.95 * errors[1]
    assert errors[0] < 0.9 * errors[2]
