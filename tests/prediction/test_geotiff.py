"""GeoTIFF in, GeoTIFF out: places, values, nodata, and a second reader."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile
import torch
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.rpc import RPC
from rasterio.transform import Affine

from octosr.data.decode import UnreadableImage
from octosr.data.encode import to_uint8
from octosr.prediction.enlarge import Settings, enlarge_bands, read
from octosr.prediction.errors import CannotEnlarge
from octosr.prediction.geotiff import is_geotiff
from octosr.techniques.interpolation import Interpolation

RNG = np.random.default_rng(11)
PLACE = Affine(30.0, 2.0, 500_000.0, -1.5, -30.0, 7_400_000.0)  # turned a little
HEIGHT, WIDTH, SCALE = 45, 40, 8


def geotiff(path: Path, bands: np.ndarray, **options: object) -> Path:
    """Write (bands, H, W) with coordinates."""
    profile = {"driver": "GTiff", "count": len(bands), "height": bands.shape[1], "width": bands.shape[2]}
    profile |= {"dtype": bands.dtype, "crs": "EPSG:32722", "transform": PLACE} | options
    with rasterio.open(path, "w", **profile) as target:
        target.write(bands)
    return path


def enlarged(path: Path, filter: str = "nearest", scale: int = SCALE, **settings: object) -> Path:
    target = path.with_name(f"{path.stem}-{filter}.tif")
    asked = Settings(**settings)
    assert read(path, target, scale, asked).picture is None
    enlarge_bands(path, target, Interpolation(filter, filter, scale), asked)
    return target


def blown_up(bands: np.ndarray, scale: int = SCALE) -> np.ndarray:
    return bands.repeat(scale, axis=-2).repeat(scale, axis=-1)


def smooth(count: int, low: float, high: float, dtype: type) -> np.ndarray:
    """Bands that fill [low, high] exactly."""
    values = RNG.random((count, HEIGHT, WIDTH))
    values[:, 0, 0], values[:, 0, 1] = 0, 1
    return (low + np.clip(values, 0, 1) * (high - low)).astype(dtype)


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [(np.uint8, 3, 250), (np.uint16, 100, 9000), (np.int16, -500, 3000), (np.float32, -0.2, 1.7)],
)
def test_values_of_every_type_come_back(tmp_path: Path, dtype: type, low: float, high: float) -> None:
    bands = smooth(5, low, high, dtype)
    with rasterio.open(enlarged(geotiff(tmp_path / "a.tif", bands))) as result:
        made = result.read()
    assert made.dtype == dtype
    if dtype == np.float32:
        assert np.allclose(made, blown_up(bands), atol=1e-6)
    else:
        assert np.array_equal(made, blown_up(bands))


def test_each_band_is_enlarged_as_the_same_picture_alone(tmp_path: Path) -> None:
    bands = smooth(2, 0, 255, np.uint8)
    with rasterio.open(enlarged(geotiff(tmp_path / "a.tif", bands), "bicubic")) as result:
        made = result.read()
    for band, picture in zip(made, bands, strict=True):
        lr = torch.from_numpy(picture).expand(3, -1, -1).float() / 255
        alone = to_uint8(Interpolation("b", "bicubic", 8).super_resolve(lr[None])[0, 0]).numpy()
        assert np.array_equal(alone, band)


def test_corners_stay_where_they_are_and_words_are_kept(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "a.tif", smooth(4, 0, 9000, np.uint16), nodata=65535)
    with rasterio.open(path, "r+") as target:
        target.update_tags(MISSION="test", AREA_OR_POINT="Point")
        target.update_tags(2, WAVELENGTH="560", STATISTICS_MEAN="1")
        target.descriptions = ("blue", "green", "red", "near infrared")
        target.units = ("W", "W", "W", "W")
        target.scales, target.offsets = (0.0001,) * 4, (-0.1,) * 4
        target.colorinterp = (ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.undefined)
    with rasterio.open(path) as before, rasterio.open(enlarged(path)) as after:
        for corner in ((0, 0), (0, 1), (1, 0), (1, 1)):
            old = before.transform * (corner[0] * before.width, corner[1] * before.height)
            new = after.transform * (corner[0] * after.width, corner[1] * after.height)
            assert new == pytest.approx(old, abs=1e-6)
        assert after.bounds == pytest.approx(before.bounds)
        assert (after.crs, after.nodata) == (before.crs, 65535)
        assert (after.height, after.width) == (HEIGHT * SCALE, WIDTH * SCALE)
        for name in ("descriptions", "units", "scales", "offsets", "colorinterp"):
            assert getattr(after, name) == getattr(before, name), name
        assert after.tags()["MISSION"] == "test"
        assert after.tags()["AREA_OR_POINT"] == "Point"
        assert after.tags(2) == {"WAVELENGTH": "560"}
        assert np.array_equal(after.read(), blown_up(before.read()))  # red, green and blue in another order
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a-nearest.tif", "a.tif"]  # no .aux.xml, no .tfw


def test_nodata_neither_shines_nor_spreads(tmp_path: Path) -> None:
    bands = np.full((1, HEIGHT, WIDTH), 1000, np.int16)
    bands[0, 0, 0] = 900
    bands[0, 10:20, 5:12] = -9999
    for filter in ("nearest", "bicubic"):
        with rasterio.open(enlarged(geotiff(tmp_path / "a.tif", bands, nodata=-9999), filter)) as result:
            made = result.read(1)
        hole = blown_up(bands[0]) == -9999
        assert np.array_equal(made == -9999, hole)
        assert np.all(made[30 * SCALE :] == 1000)
        assert made[~hole].min() >= 900
        edge = made[9 * SCALE : 21 * SCALE, 3 * SCALE : 14 * SCALE]
        assert np.all(edge[edge != -9999] == 1000)  # filled with what lies beside it, so no ringing


def test_nan_as_nodata_and_nan_that_is_not(tmp_path: Path) -> None:
    bands = smooth(1, 0, 5, np.float32)
    bands[0, 3, 4] = np.nan
    with rasterio.open(enlarged(geotiff(tmp_path / "a.tif", bands, nodata=np.nan), "bicubic")) as result:
        made = result.read(1)
    assert np.array_equal(np.isnan(made), np.isnan(blown_up(bands[0])))
    with pytest.raises(UnreadableImage, match=r"1 values of band 1 are NaN or infinite, and not declared as nodata"):
        enlarged(geotiff(tmp_path / "b.tif", bands))


def test_a_valid_pixel_does_not_become_nodata_by_chance(tmp_path: Path) -> None:
    bands = np.zeros((1, HEIGHT, WIDTH), np.uint8)
    bands[0, :, ::2] = 1
    bands[0, :, 1::2] = 3
    with rasterio.open(enlarged(geotiff(tmp_path / "a.tif", bands, nodata=2), "bicubic")) as result:
        made = result.read(1)
    assert not np.any(made == 2)
    assert {1, 3} <= set(np.unique(made))


def test_a_band_of_nothing_and_a_flat_one(tmp_path: Path) -> None:
    bands = np.stack([np.full((HEIGHT, WIDTH), 7), np.full((HEIGHT, WIDTH), 300)]).astype(np.uint16)
    with rasterio.open(enlarged(geotiff(tmp_path / "a.tif", bands, nodata=7))) as result:
        made = result.read()
    assert np.all(made[0] == 7)
    assert np.all(made[1] == 300)


def test_opacity_and_an_internal_mask(tmp_path: Path) -> None:
    bands = smooth(4, 0, 255, np.uint8)
    bands[3] = np.where(np.arange(WIDTH) < 20, 0, 255)
    path = geotiff(tmp_path / "a.tif", bands, photometric="RGB", alpha="YES")
    with rasterio.open(enlarged(path, "bicubic")) as result:
        assert result.colorinterp[3] == ColorInterp.alpha
        alpha = result.read(4)
    assert np.all(alpha[:, : 17 * SCALE] == 0)
    assert np.all(alpha[:, 23 * SCALE :] == 255)
    assert 0 < alpha[0, 20 * SCALE] < 255
    mask = np.where(np.arange(HEIGHT)[:, None] + np.arange(WIDTH) > 30, 255, 0).astype(np.uint8)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        path = geotiff(tmp_path / "b.tif", bands[:1])
        with rasterio.open(path, "r+") as target:
            target.write_mask(mask)
    with rasterio.open(enlarged(path)) as result:
        assert np.array_equal(result.dataset_mask(), blown_up(mask))


def test_control_points_and_rpcs_move_with_the_pixels(tmp_path: Path) -> None:
    points = [GroundControlPoint(row=r, col=c, x=10 + c, y=50 - r) for r, c in ((0, 0), (0, 40), (45, 0), (45, 40))]
    path = tmp_path / "a.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=HEIGHT, width=WIDTH, dtype="uint8", gcps=points, crs="EPSG:4326"
    ) as target:
        target.write(smooth(1, 0, 255, np.uint8))
    with rasterio.open(enlarged(path)) as result:
        moved, crs = result.gcps
    assert crs.to_epsg() == 4326
    assert [(p.row, p.col, p.x, p.y) for p in moved] == [(8 * p.row, 8 * p.col, p.x, p.y) for p in points]
    numbers = {f"{of}_{kind}_coeff": [1.0] + [0.0] * 19 for of in ("line", "samp") for kind in ("num", "den")}
    for of, value in (("height", 1.0), ("lat", 2.0), ("long", 3.0), ("line", 22.0), ("samp", 19.5)):
        numbers |= {f"{of}_off": value, f"{of}_scale": value + 1}
    with rasterio.open(
        tmp_path / "r.tif", "w", driver="GTiff", count=1, height=HEIGHT, width=WIDTH, dtype="uint8", rpcs=RPC(**numbers)
    ) as target:
        target.write(smooth(1, 0, 255, np.uint8))
    with rasterio.open(enlarged(tmp_path / "r.tif")) as result:
        moved = result.rpcs
    assert (moved.line_off, moved.samp_off) == (22.5 * 8 - 0.5, 20 * 8 - 0.5)
    assert (moved.line_scale, moved.samp_scale, moved.lat_off) == (23 * 8, 20.5 * 8, 2)


def test_a_given_range(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "a.tif", smooth(1, 100, 9000, np.uint16))
    with rasterio.open(enlarged(path, value_range=(0.0, 10000.0))) as result, rasterio.open(path) as source:
        assert np.array_equal(result.read(), blown_up(source.read()))
    with pytest.raises(UnreadableImage, match=r"band 1 from 100 to 9000, outside of geo\.range=\[0,5000\]"):
        enlarged(path, value_range=(0.0, 5000.0))


def test_blocks_are_compressed_without_losses_and_as_small_as_gdal_writes_them(tmp_path: Path) -> None:
    bands = (np.add.outer(np.arange(150), np.arange(130))[None] * 20).astype(np.uint16)
    path = enlarged(geotiff(tmp_path / "a.tif", bands, compress="lzw"), "bicubic")
    with rasterio.open(path) as result:
        assert result.block_shapes == [(256, 256)]
        assert result.profile["compress"] == "lzw"
        options = {"compress": "lzw", "predictor": 2, "tiled": True, "blockxsize": 256, "blockysize": 256}
        whole = geotiff(tmp_path / "whole.tif", result.read(), **options)
    assert path.stat().st_size < 1.05 * whole.stat().st_size  # no block was written twice


def test_what_is_refused(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "a.tif", smooth(1, 0, 5, np.float64))
    with pytest.raises(UnreadableImage, match="bands of float64; one of uint8, uint16, int16, float32 is supported"):
        enlarged(path)
    path = geotiff(tmp_path / "classes.tif", smooth(1, 0, 5, np.uint8))
    with rasterio.open(path, "r+") as target:
        target.write_colormap(1, {0: (0, 0, 0, 255), 1: (9, 9, 9, 255)})
    with pytest.raises(UnreadableImage, match="its values are classes"):
        enlarged(path)
    path = geotiff(tmp_path / "b.tif", smooth(1, 0, 5, np.uint8))
    with pytest.raises(UnreadableImage, match=r"40x45, more than data\.max_pixels=1000"):
        enlarged(path, max_pixels=1000)
    with pytest.raises(CannotEnlarge, match="a GeoTIFF cannot become PNG"):
        read(path, tmp_path / "x.png", 2, Settings())
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(UnreadableImage, match="truncated or damaged"):
        enlarged(path)


def test_without_rasterio_a_geotiff_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = geotiff(tmp_path / "a.tif", smooth(1, 0, 255, np.uint8))
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(CannotEnlarge, match=r"rasterio, which is not installed.*pip install 'octosr\[geo\]'"):
        enlarged(path)


def test_which_tiffs_are_geotiffs(tmp_path: Path) -> None:
    assert is_geotiff(geotiff(tmp_path / "a.tif", smooth(1, 0, 255, np.uint8)))
    Image.fromarray(smooth(1, 0, 255, np.uint8)[0]).save(tmp_path / "picture.tif")
    Image.fromarray(smooth(1, 0, 255, np.uint8)[0]).save(tmp_path / "named.tif", format="PNG")
    tifffile.imwrite(
        tmp_path / "many.tif", np.zeros((9, 9, 6), np.uint8), planarconfig="contig", photometric="minisblack"
    )
    tifffile.imwrite(tmp_path / "signed.tif", np.zeros((9, 9), np.int16))
    (tmp_path / "broken.tif").write_bytes(b"II*\0\xff\xff\xff\xff")
    found = {path.stem: is_geotiff(path) for path in tmp_path.glob("*.tif")}
    assert found == {"a": True, "picture": False, "named": False, "many": True, "signed": True, "broken": False}
    with rasterio.open(enlarged(tmp_path / "many.tif")) as result:  # no coordinates: none are made up
        assert result.count == 6
        assert result.crs is None
        assert result.transform.is_identity


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="gdalinfo is not installed (Debian: gdal-bin)")
def test_a_second_reader_finds_the_same_corners(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "a.tif", smooth(4, 0, 9000, np.uint16), nodata=65535)

    def info(file: Path) -> dict:
        done = subprocess.run(["gdalinfo", "-json", "-checksum", str(file)], capture_output=True, text=True, check=True)
        assert "ERROR" not in done.stderr
        return json.loads(done.stdout)

    before, after = info(path), info(enlarged(path, "bicubic"))
    assert after["size"] == [WIDTH * SCALE, HEIGHT * SCALE]
    for corner, place in before["cornerCoordinates"].items():
        assert after["cornerCoordinates"][corner] == pytest.approx(place, abs=1e-3), corner
    assert after["coordinateSystem"]["wkt"] == before["coordinateSystem"]["wkt"]
    assert [band["noDataValue"] for band in after["bands"]] == [65535] * 4
    assert after["geoTransform"][1] == pytest.approx(PLACE.a / SCALE)
