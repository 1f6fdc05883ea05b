"""The bank, the crops and their randomness."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from octosr.data import memory
from octosr.data.bank import ImageBank, load_bank
from octosr.data.crops import centre_crops, random_crops
from octosr.data.hashing import mix, random_integers, unit_hash
from octosr.data.split import hold_out
from octosr.errors import ConfigError

SIZES = [(40, 24), (24, 40), (33, 33), (24, 24), (25, 57)]


@pytest.fixture
def bank(tmp_path: Path, make_images) -> ImageBank:
    make_images(tmp_path, SIZES)
    return load_bank(sorted(tmp_path.iterdir()))


def splitmix64(state: int) -> int:
    """The output function of the published algorithm, in Python integers."""
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) % 2**64
    return state ^ (state >> 31)


def test_mix_is_splitmix64() -> None:
    states = [0, 1, 2**63, 2**64 - 1, 0x9E3779B97F4A7C15, 1234567890123456789]
    signed = torch.tensor([s - 2**64 if s >= 2**63 else s for s in states])
    assert [value % 2**64 for value in mix(signed).tolist()] == [splitmix64(s) for s in states]
    # First output of the reference generator seeded with 1234567.
    assert splitmix64(1234567 + 0x9E3779B97F4A7C15) == 6457827717110365317


def test_random_integers_are_uniform_and_independent() -> None:
    ids = torch.arange(60_000)
    for seed in (0, 1, -5, 2**70):
        drawn = random_integers(seed, ids, 0, 7)
        assert (int(drawn.min()), int(drawn.max())) == (0, 6)
        counts = torch.bincount(drawn).double()
        assert float(((counts - 60_000 / 7) ** 2 / (60_000 / 7)).sum()) < 27.9  # chi2, 6 degrees, p = 1e-4
    pairs = [
        (random_integers(0, ids, 0, 5), random_integers(0, ids, 1, 5)),  # two streams
        (random_integers(0, ids, 0, 5), random_integers(1, ids, 0, 5)),  # two seeds
        (random_integers(0, ids, 0, 5), random_integers(0, ids + 1, 0, 5)),  # neighbours
        (random_integers(0, ids, 0, 5), random_integers(0, ids + 2**40, 0, 5)),  # training and validation ids
    ]
    for first, second in pairs:
        counts = torch.bincount(first * 5 + second, minlength=25).double()
        assert float(((counts - 2400) ** 2 / 2400).sum()) < 62  # chi2, 24 degrees, p = 3e-5
    assert random_integers(0, ids, 0, torch.arange(1, 60_001)).lt(torch.arange(1, 60_001)).all()


def test_bank_holds_the_pixels(tmp_path: Path, make_images) -> None:
    made = make_images(tmp_path, SIZES)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(made["im0"]).save(tmp_path / "turned.png", exif=exif)
    deep = np.random.default_rng(1).integers(0, 65536, (24, 30), dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    paths = [*(tmp_path / f"im{n}.png" for n in range(5)), tmp_path / "turned.png", tmp_path / "deep.png"]
    bank = load_bank(paths, keep_deep=True)
    assert [bank.size(n) for n in range(7)] == [*SIZES, (24, 40), (24, 30)]
    for number, pixels in enumerate([*made.values(), made["im0"][::-1].swapaxes(0, 1)]):
        np.testing.assert_array_equal(bank.image(number).numpy(), pixels)
    assert list(bank.deep) == [6]
    np.testing.assert_array_equal(np.rint(bank.image(6).numpy()[..., 0].astype(np.float64) * 65535), deep)
    eight = load_bank(paths).image(6)
    np.testing.assert_array_equal(eight[..., 1].numpy(), np.rint(deep / 257))
    part = bank.subset([6, 2])
    assert part.paths == (paths[6], paths[2])
    assert list(part.deep) == [0]
    np.testing.assert_array_equal(part.image(1).numpy(), made["im2"])
    assert part.pixels.data_ptr() == bank.pixels.data_ptr()


def test_bank_lists_what_it_cannot_read(tmp_path: Path, make_images) -> None:
    made = make_images(tmp_path, SIZES)
    whole = (tmp_path / "im1.png").read_bytes()
    (tmp_path / "im1.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "im3.png").write_bytes(b"")
    bank = load_bank([tmp_path / f"im{n}.png" for n in range(5)])
    assert [path.stem for path in bank.paths] == ["im0", "im2", "im4"]
    assert [Path(file).name for file, _ in bank.problems] == ["im1.png", "im3.png"]
    for number, stem in enumerate(("im0", "im2", "im4")):
        np.testing.assert_array_equal(bank.image(number).numpy(), made[stem])
    assert len(load_bank([])) == 0


def test_too_much_for_the_memory(tmp_path: Path, make_images, monkeypatch: pytest.MonkeyPatch) -> None:
    make_images(tmp_path, SIZES)
    paths = sorted(tmp_path.iterdir())
    needed = 3 * sum(h * w for h, w in SIZES)
    monkeypatch.setattr(memory, "available_bytes", lambda: int(needed / 0.8) + 1)
    assert len(load_bank(paths)) == 5
    for processes, available in ((1, int(needed / 0.8) - 1), (2, int(needed / 0.8) + 1)):
        monkeypatch.setattr(memory, "available_bytes", lambda available=available: available)
        with pytest.raises(ConfigError, match=rf"5 images in {tmp_path} take .* GiB"):
            load_bank(paths, processes=processes)


def test_free_memory_is_plausible() -> None:
    available = memory.available_bytes()
    assert available is None or 2**20 < available < 2**50


def crops_by_hand(image: np.ndarray, side: int) -> set[bytes]:
    """Every crop of an image in all eight positions."""
    found = set()
    for top in range(image.shape[0] - side + 1):
        for left in range(image.shape[1] - side + 1):
            crop = image[top : top + side, left : left + side]
            for turned in (crop, crop.swapaxes(0, 1)):
                for flipped in (turned, turned[::-1], turned[:, ::-1], turned[::-1, ::-1]):
                    found.add(np.ascontiguousarray(flipped).tobytes())
    return found


def test_every_crop_is_drawn_and_none_else(tmp_path: Path, make_images) -> None:
    made = make_images(tmp_path, [(6, 7), (5, 5)])
    bank = load_bank([tmp_path / "im0.png", tmp_path / "im1.png"])
    drawn = random_crops(bank, 5, seed=3, sample_ids=torch.arange(6000))
    assert drawn.dtype == torch.float32
    assert drawn.is_contiguous()
    pixels = (drawn * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    assert torch.equal(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255, drawn)
    large, small = crops_by_hand(made["im0"], 5), crops_by_hand(made["im1"], 5)
    assert (len(large), len(small)) == (2 * 3 * 8, 8)
    seen = [crop.tobytes() for crop in pixels]
    assert set(seen) == large | small
    counts = {crop: seen.count(crop) for crop in large | small}
    # Images are drawn alike, whatever their size: 3000 samples over 48 crops, 3000 over 8.
    chi2 = sum((counts[crop] - 62.5) ** 2 / 62.5 for crop in large) + sum((counts[c] - 375) ** 2 / 375 for c in small)
    assert chi2 < 100  # 55 degrees of freedom, p = 2e-4


def test_a_batch_equals_single_samples(bank: ImageBank) -> None:
    ids = torch.tensor([5, 0, 123456789, 2**40 + 3, 7])
    together = random_crops(bank, 16, seed=9, sample_ids=ids)
    for number in range(5):
        assert torch.equal(together[number : number + 1], random_crops(bank, 16, 9, ids[number : number + 1]))
    assert not torch.equal(together, random_crops(bank, 16, 10, ids))


def test_corners_are_reached(bank: ImageBank) -> None:
    drawn = random_crops(bank, 24, 0, torch.arange(4000))
    flat = {crop.numpy().tobytes() for crop in drawn}
    for number, (height, width) in enumerate(SIZES):
        image = bank.image(number).permute(2, 0, 1).float() / 255
        for top in (0, height - 24):
            for left in (0, width - 24):
                crop = image[:, top : top + 24, left : left + 24]
                turned = [torch.rot90(x, k, (1, 2)) for x in (crop, crop.flip(2)) for k in range(4)]
                assert any(t.contiguous().numpy().tobytes() in flat for t in turned)


def test_centre_crops(bank: ImageBank) -> None:
    crops = centre_crops(bank, 16)
    for number, (height, width) in enumerate(SIZES):
        top, left = (height - 16) // 2, (width - 16) // 2
        expected = bank.image(number)[top : top + 16, left : left + 16].permute(2, 0, 1).float() / 255
        torch.testing.assert_close(crops[number], expected, rtol=0, atol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_same_crops_on_a_gpu(bank: ImageBank) -> None:
    ids = torch.arange(100)
    on_gpu = random_crops(bank.to(torch.device("cuda")), 16, 4, ids.cuda())
    # A GPU divides by 255 as it multiplies by 1/255: the last bit may differ.
    torch.testing.assert_close(on_gpu.cpu(), random_crops(bank, 16, 4, ids), rtol=2e-7, atol=0)


def test_split_is_disjoint_complete_and_stable() -> None:
    keys = [f"low_{n:03d}" for n in range(100)]
    train, held = hold_out(keys, 0.1, 16)
    assert sorted(train + held) == list(range(100))
    assert 3 <= len(held) <= 16
    assert held == [n for n in range(100) if unit_hash(keys[n]) < 0.1]
    assert hold_out(keys, 0.1, 16) == (train, held)
    held_names = {keys[n] for n in held}
    more = [f"new{n}" for n in range(40)] + keys
    _, held_more = hold_out(more, 0.1, 1000)
    assert {more[n] for n in held_more} & set(keys) == held_names
    _, capped = hold_out(more, 0.1, 5)  # a smaller limit, or new images, only give images back to training
    assert len(capped) == 5
    assert {more[n] for n in capped} <= {more[n] for n in held_more}


def test_split_of_a_few() -> None:
    for count in (2, 3, 5):
        for fraction in (0.01, 0.5, 0.99):
            train, held = hold_out([f"x{n}" for n in range(count)], fraction, 16)
            assert train
            assert held
            assert len(train) + len(held) == count
    for count in (0, 1):
        with pytest.raises(ConfigError, match=f"at least 2 images.*there is {count}"):
            hold_out(["x"] * count, 0.1, 16)


def test_unit_hash_is_fixed_for_ever() -> None:
    assert unit_hash("low_P0033") == int("5e18a74b932f", 16) / 2**48  # the first 6 bytes of its SHA-256
