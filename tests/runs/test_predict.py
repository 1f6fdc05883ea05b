"""predict.py: what is written, what counts as done, and twenty kinds of files and settings that it cannot use."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile
import torch
from omegaconf import DictConfig
from PIL import Image

from octosr.errors import ConfigError, MissingWeightsError, OctoSRError
from octosr.prediction.writers.png import PngWriter
from octosr.runs.predict import FailedImages, predict
from octosr.techniques.interpolation import Interpolation

Composer = Callable[..., DictConfig]
ROOT = Path(__file__).resolve().parents[2]
RNG = np.random.default_rng(1)
COLOUR = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)


@pytest.fixture
def run(composer: Composer, tmp_path: Path) -> Callable[..., dict[str, Path]]:
    """``run("scale=2", input="photos")`` runs predict() and gives the files written, by their names."""

    def call(*overrides: str, input: str = "in") -> dict[str, Path]:
        where = [f"input='{tmp_path / input}'", f"output={tmp_path / 'out'}", f"output_root={tmp_path / 'runs'}"]
        chosen = [] if any(o.startswith("technique=") for o in overrides) else ["technique=bicubic"]
        predict(composer("predict", "hardware=cpu", *chosen, *where, *overrides))
        return written(tmp_path)

    return call


def written(tmp_path: Path) -> dict[str, Path]:
    out = tmp_path / "out"
    files = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    files.pop("provenance.jsonl", None)
    return files


def photo(path: Path, picture: np.ndarray = COLOUR, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, **options)
    return path


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_a_folder_is_what_its_files_are_one_by_one(run: Callable, tmp_path: Path) -> None:
    names = ("a.png", "sub/b.jpg", "sub/deep/c.webp")
    for number, name in enumerate(names):
        photo(tmp_path / "in" / name, np.roll(COLOUR, number, axis=0))
    together = {name: path.read_bytes() for name, path in run().items()}
    assert sorted(together) == ["a.png", "sub/b.png", "sub/deep/c.png"]
    for name in names:
        one = run("overwrite=true", input=f"in/{name}")[Path(name).with_suffix(".png").name]
        assert one.read_bytes() == together[Path(name).with_suffix(".png").as_posix()]


def test_pixels_are_those_of_the_technique_at_every_scale(run: Callable, tmp_path: Path) -> None:
    photo(tmp_path / "in/a.png")
    lr = torch.from_numpy(COLOUR.copy()).permute(2, 0, 1)[None].float() / 255
    for scale in (2, 4, 8):
        made = pixels(run("technique=lanczos", f"scale={scale}")["a.png"])
        sr = Interpolation("lanczos", "lanczos", scale).super_resolve(lr)[0].clamp(0, 1) * 255
        assert np.abs(made.astype(int) - sr.round().permute(1, 2, 0).numpy()).max() <= 1
        assert made.shape == (6 * scale, 9 * scale, 3)


def test_self_ensemble_of_a_symmetric_filter_changes_nothing_but_is_another_recipe(
    run: Callable, tmp_path: Path
) -> None:
    photo(tmp_path / "in/a.png")
    plain = pixels(run()["a.png"])
    both = pixels(run("self_ensemble=true")["a.png"])
    assert np.abs(plain.astype(int) - both).max() <= 1
    assert len([line for line in journal(tmp_path) if "made_with" in line]) == 2


def journal(tmp_path: Path) -> list[dict]:
    return [json.loads(line) for line in (tmp_path / "out/provenance.jsonl").read_text().splitlines()]


def test_what_is_done_is_left_out_and_what_was_made_otherwise_is_not(
    run: Callable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.png", "b.png"):
        photo(tmp_path / "in" / name)
    first = {name: path.stat().st_mtime_ns for name, path in run().items()}
    assert "2 images written" in capsys.readouterr().out
    assert {name: path.stat().st_mtime_ns for name, path in run().items()} == first
    assert "0 images written to" in (said := capsys.readouterr().out)
    assert "2 there already" in said
    photo(tmp_path / "in/b.png", 255 - COLOUR)  # another image under the old name
    again = run()
    assert again["a.png"].stat().st_mtime_ns == first["a.png"]
    assert np.array_equal(pixels(again["b.png"])[0, 0], 255 - pixels(again["a.png"])[0, 0])
    assert pixels(run("scale=2")["a.png"]).shape == (12, 18, 3)  # other settings: made again, in its place
    assert "2 images written" in capsys.readouterr().out
    nearest = pixels(run("scale=2", "technique=nearest")["a.png"])
    assert np.array_equal(nearest, COLOUR.repeat(2, 0).repeat(2, 1))
    capsys.readouterr()
    run("scale=2", "technique=nearest", "overwrite=true")
    assert "2 images written" in capsys.readouterr().out


def test_a_file_that_is_not_ours_is_not_replaced_unasked(run: Callable, tmp_path: Path) -> None:
    photo(tmp_path / "in/a.png")
    photo(tmp_path / "in/b.png")
    mine = photo(tmp_path / "out/a.png", np.zeros((2, 2), np.uint8))
    with pytest.raises(
        FailedImages, match=r"1 of 2 images were not enlarged:\n.*a\.png is there and is not what"
    ) as caught:
        run()
    assert "overwrite=true replaces it" in str(caught.value)
    assert pixels(mine).shape == (2, 2)
    assert set(written(tmp_path)) == {"a.png", "b.png"}
    assert pixels(run("overwrite=true")["a.png"]).shape == (48, 72, 3)


def test_what_a_picture_is_it_stays(run: Callable, tmp_path: Path) -> None:
    """Depth, grey, opacity, EXIF, profile and resolution, from PNG through the whole way."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    grey = COLOUR[..., 0]
    photo(tmp_path / "in/photo.jpg", COLOUR, exif=exif, icc_profile=b"profile" * 20, dpi=(300, 300))
    photo(tmp_path / "in/deep.png", grey.astype(np.uint16) * 257)
    photo(tmp_path / "in/alpha.png", np.dstack((COLOUR, grey)))
    tifffile.imwrite(tmp_path / "in/deep.tif", COLOUR.astype(np.uint16) * 257, photometric="rgb")
    tifffile.imwrite(tmp_path / "in/float.tif", grey.astype(np.float32) / 255)
    Image.fromarray(COLOUR).quantize(4).save(tmp_path / "in/palette.png")
    out = run("technique=nearest", "scale=2")
    with Image.open(out["photo.png"]) as image:
        assert (image.size, image.mode) == ((12, 18), "RGB")  # turned
        assert image.getexif().get(0x0112, 1) == 1
        assert image.getexif()[0x010F] == "Maker"
        assert image.info["icc_profile"] == b"profile" * 20
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.02)
    big = grey.repeat(2, 0).repeat(2, 1)
    assert np.array_equal(pixels(out["deep.png"]), big.astype(np.uint16) * 257)
    assert np.array_equal(pixels(out["alpha.png"])[..., :3], COLOUR.repeat(2, 0).repeat(2, 1))
    assert not np.array_equal(pixels(out["alpha.png"])[..., 3], big)  # opacity always by bicubic
    assert np.array_equal(tifffile.imread(out["deep.tif"]), COLOUR.repeat(2, 0).repeat(2, 1).astype(np.uint16) * 257)
    assert np.allclose(tifffile.imread(out["float.tif"]), big / 255, atol=1e-6)
    assert pixels(out["palette.png"]).shape == (12, 18, 3)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tif"])
def test_every_format_on_request(run: Callable, tmp_path: Path, suffix: str) -> None:
    picture = photo(tmp_path / "in/a.png", np.full((6, 9, 3), (200, 100, 50), np.uint8))
    made = pixels(run(f"format={suffix}", "scale=2")[f"a.{suffix}"])
    assert made.shape == (12, 18, 3)
    assert np.abs(made.astype(int) - pixels(picture)[0, 0]).max() <= 3


# -- what cannot be used: one line each in docs/predict.md ----------------------------------------------------------


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("this is no image at all")


def cut_short(path: Path) -> None:
    photo(path)
    path.write_bytes(path.read_bytes()[:-40])


def damaged(path: Path) -> None:
    photo(path, RNG.integers(0, 256, (40, 40, 3), dtype=np.uint8))
    content = bytearray(path.read_bytes())
    content[200:260] = bytes(60)
    path.write_bytes(bytes(content))


def too_large(path: Path) -> None:
    photo(path, np.zeros((50, 50), np.uint8))


def dangling(path: Path) -> None:
    path.symlink_to(path.with_name("gone"))


def folder(path: Path) -> None:
    path.mkdir()


def not_numbers(path: Path) -> None:
    tifffile.imwrite(path, np.full((4, 4), np.nan, np.float32))


def out_of_range(path: Path) -> None:
    tifffile.imwrite(path, np.full((4, 4), 7.0, np.float32))


def planes(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((3, 8, 8), np.uint16), photometric="rgb", planarconfig="separate")


def transparent(path: Path) -> None:
    photo(path, np.dstack((COLOUR, COLOUR[..., 0])))


def long(path: Path) -> None:
    photo(path, np.zeros((1, 2100), np.uint8))


def doubles(path: Path) -> None:
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=4, width=4, dtype="float64", crs="EPSG:4326"
    ) as target:
        target.write(np.zeros((1, 4, 4)))


def classes(path: Path) -> None:
    with rasterio.open(path, "w", driver="GTiff", count=1, height=4, width=4, dtype="uint8", crs="EPSG:4326") as target:
        target.write(np.zeros((1, 4, 4), np.uint8))
        target.write_colormap(1, {0: (1, 2, 3, 255)})


def georeferenced(path: Path) -> None:
    with rasterio.open(path, "w", driver="GTiff", count=1, height=4, width=4, dtype="uint8", crs="EPSG:4326") as target:
        target.write(np.zeros((1, 4, 4), np.uint8))


def undeclared(path: Path) -> None:
    values = np.full((1, 4, 4), np.nan, np.float32)
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=4, width=4, dtype="float32", crs="EPSG:4326"
    ) as target:
        target.write(values)


BAD = [
    (nothing, "x.png", "", "the file is empty (0 bytes)"),
    (text, "x.png", "", "not an image in a known format (PNG, JPEG, TIFF, BMP or WebP)"),
    (text, "x.tif", "", "not an image in a known format"),
    (cut_short, "x.png", "", "the file is truncated (its end marker is missing)"),
    (cut_short, "x.jpg", "", "the file is truncated (its end marker is missing)"),
    (damaged, "x.png", "", "cannot be decoded"),
    (too_large, "x.png", "data.max_pixels=100", "the image is 50x50, more than data.max_pixels=100"),
    (dangling, "x.png", "", "no such file (a dangling link?)"),
    (folder, "x.png", "", "it is a folder, not an image"),
    (not_numbers, "x.tif", "", "some values are NaN or infinite"),
    (out_of_range, "x.tif", "", "values from 7 to 7, but [0, 1] expected: rescale them"),
    (planes, "x.tif", "", "separate colour planes is not supported; save it interleaved"),
    (transparent, "x.png", "format=jpg", "it has transparent parts, which JPEG cannot hold: format=png"),
    (long, "x.png", "format=webp", "the result is 16800x8, but a side of WebP has at most 16383 pixels: format=png"),
    (doubles, "x.tif", "", "bands of float64; one of uint8, uint16, int16, float32 is supported"),
    (classes, "x.tif", "", "its values are classes, between which there is nothing"),
    (georeferenced, "x.tif", "format=png", "a GeoTIFF cannot become PNG"),
    (undeclared, "x.tif", "", "16 values of band 1 are NaN or infinite, and not declared as nodata"),
]


@pytest.mark.parametrize(("make", "name", "setting", "message"), BAD)
def test_a_bad_file_is_named_at_the_end_and_the_rest_is_written(
    run: Callable, tmp_path: Path, make: Callable[[Path], None], name: str, setting: str, message: str
) -> None:
    photo(tmp_path / "in/a.png", np.zeros((3, 3), np.uint8))
    photo(tmp_path / "in/z.png", np.zeros((3, 3), np.uint8))
    make(tmp_path / "in" / name)
    settings = [setting] if setting else []
    with pytest.raises(FailedImages) as caught:
        run(*settings, input="in/*")
    assert f"1 of 3 images were not enlarged:\n  {tmp_path / 'in' / name}: " in str(caught.value)
    assert message in str(caught.value)
    assert sorted(Path(path).stem for path in written(tmp_path)) == ["a", "z"]
    assert not list((tmp_path / "out").glob(".*"))  # no temporary files
    assert generally(message) in (ROOT / "docs/predict.md").read_text(encoding="utf-8")


def generally(message: str) -> str:
    """A message as the page has it, with letters for the numbers."""
    message = re.sub(r"\d+x\d+", "WxH", message).replace("=100", "=N").replace("16 values", "N values")
    return message.replace("from 7 to 7", "from A to B")


def test_permission_denied(run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo(tmp_path / "in/a.png")
    locked = photo(tmp_path / "in/b.png")
    locked.chmod(0)
    if os.access(locked, os.R_OK):  # root may read everything
        own = Path.open

        def refuse(path: Path, *arguments: object, **options: object) -> object:
            if path == locked:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return own(path, *arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(FailedImages, match=r"b\.png: it may not be read \(permission denied\)"):
        run()
    assert set(written(tmp_path)) == {"a.png"}


def test_a_folder_in_the_place_of_a_result(run: Callable, tmp_path: Path) -> None:
    photo(tmp_path / "in/a.png")
    (tmp_path / "out/a.png").mkdir(parents=True)
    with pytest.raises(FailedImages, match=r"out/a\.png is a folder; move it, or choose another output"):
        run()


def test_a_full_disk_ends_the_run_and_leaves_nothing_half_written(
    run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.png", "c.png"):
        photo(tmp_path / "in" / name)
    finish = PngWriter.finish

    def full(writer: PngWriter) -> None:
        if ".b.png." in writer._stream.name:  # the three are encoded at the same time
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finish(writer)

    monkeypatch.setattr(PngWriter, "finish", full)
    with pytest.raises(
        ConfigError, match=r"b\.png cannot be written \(No space left on device\)\. 1 images were finished; the same"
    ):
        run()
    assert set(written(tmp_path)) == {"a.png"}
    monkeypatch.undo()
    assert set(run()) == {"a.png", "b.png", "c.png"}


def test_values_that_are_no_numbers_come_from_the_technique(
    run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo(tmp_path / "in/a.png")
    monkeypatch.setattr(Interpolation, "super_resolve", lambda self, lr: lr.repeat(1, 1, 8, 8) * float("nan"))
    with pytest.raises(FailedImages, match=r"NaN or infinite and cannot be saved\. The weights may have"):
        run()


def test_sigterm_ends_it_with_whole_files_and_it_goes_on(
    run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.png", "c.png"):
        photo(tmp_path / "in" / name)
    before, calls = signal.getsignal(signal.SIGTERM), []
    resolve = Interpolation.super_resolve

    def told_to_end(self: Interpolation, lr: torch.Tensor) -> torch.Tensor:
        calls.append(len(lr))
        if len(calls) == 2:
            signal.raise_signal(signal.SIGTERM)
        return resolve(self, lr)

    monkeypatch.setattr(Interpolation, "super_resolve", told_to_end)
    with pytest.raises(SystemExit) as ended:
        run("batch_size=1")
    assert ended.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
    assert set(written(tmp_path)) == {"a.png"}  # and no temporary file
    assert pixels(tmp_path / "out/a.png").shape == (48, 72, 3)
    assert set(run("batch_size=2")) == {"a.png", "b.png", "c.png"}
    assert calls == [1, 1, 2]


def test_one_pixel_is_enough_for_interpolation(run: Callable, tmp_path: Path) -> None:
    photo(tmp_path / "in/a.png", np.full((1, 1), 77, np.uint8))
    assert np.all(pixels(run()["a.png"]) == 77)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["technique=apa"], "technique=apa makes new images from seeds and enlarges none"),
        (["technique=precomputed"], "there is nothing to run"),
        (["format=pngg"], "Did you mean 'png'"),
        (["quality=0"], "quality is between 1 and 100"),
        (["tile=0"], "tile=0 is a side in pixels"),
        (["batch_size=0"], "batch_size=0 is how many small images are enlarged at once: auto, or 1 or more"),
        (["batch_size=many"], "batch_size=many is how many"),
        (["scale=0"], "scale=0 is how many times larger"),
        (["geo.range=[5,1]"], "the smallest and the largest value"),
        (["trainer.devices=2"], "predict.py runs on one device"),
        (["hardware=ddp_cpu"], "predict.py runs on one device"),
    ],
)
def test_settings_that_make_no_sense(run: Callable, tmp_path: Path, overrides: list[str], message: str) -> None:
    photo(tmp_path / "in/a.png")
    with pytest.raises(ConfigError, match=message.replace("[", r"\[")):
        run(*overrides)


def test_what_is_not_said(composer: Composer) -> None:
    with pytest.raises(ConfigError, match="input is not said: input=PATH output=FOLDER"):
        predict(composer("predict"))
    with pytest.raises(ConfigError, match="output is not said"):
        predict(composer("predict", "input=a"))


def test_the_only_checkpoint_is_taken_and_several_are_listed(run: Callable, tmp_path: Path) -> None:
    photo(tmp_path / "in/a.png")
    with pytest.raises(MissingWeightsError, match=r"There are no weights for technique 'dan'(.|\n)*/dan/\*/last\.ckpt"):
        run("technique=dan")
    for dataset in ("isaid", "ships"):
        path = tmp_path / "runs/checkpoints/dan" / dataset / "last.ckpt"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"no checkpoint")
        if dataset == "isaid":
            with pytest.raises(OctoSRError, match=r"isaid/last\.ckpt"):  # found, and cannot be read
                run("technique=dan")
    with pytest.raises(MissingWeightsError, match=r"2 checkpoints in .*: isaid, ships\. Say which: "):
        run("technique=dan")
    with pytest.raises(OctoSRError, match=r"ships/last\.ckpt"):
        run("technique=dan", "dataset=ships")


@pytest.mark.slow
def test_as_it_is_typed(tmp_path: Path) -> None:
    photo(tmp_path / "in/a b.png")
    photo(tmp_path / "in/sub/c.jpg")
    (tmp_path / "in/bad.png").write_bytes(b"x")
    where = [f"input={tmp_path}/in", f"output={tmp_path}/out", f"output_root={tmp_path}/runs"]
    done = subprocess.run(
        [sys.executable, "predict.py", "technique=bicubic", *where],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "error: 1 of 3 images were not enlarged:\n" in done.stderr
    assert "bad.png: not an image in a known format" in done.stderr
    assert "Traceback" not in done.stderr
    assert "2 images written to" in done.stdout
    assert "1 failed" in done.stdout
    assert set(written(tmp_path)) == {"a b.png", "sub/c.png"}
