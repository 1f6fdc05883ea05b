"""What a GeoTIFF says besides its pixels, brought to the enlarged one."""

from __future__ import annotations

from typing import Any

_LOSSLESS = ("deflate", "lzw", "zstd", "packbits", "lzma")
_LEFT_OUT = ("STATISTICS_",)
"""Beginnings of tags that hold for the old pixels only."""


def creation_options(source: Any, scale: int) -> dict[str, Any]:
    """Arguments of ``rasterio.open(target, "w", ...)``: blocks, compression without losses, coordinates."""
    compression = str(source.profile.get("compress", "")).lower()
    compression = compression if compression in _LOSSLESS else "deflate"
    height, width = source.height * scale, source.width * scale
    options: dict[str, Any] = {
        "driver": "GTiff",
        "height": height,
        "width": width,
        "count": source.count,
        "dtype": source.dtypes[0],
        "nodata": source.nodata,
        "compress": compression,
        "interleave": "band",
        "BIGTIFF": "IF_SAFER",
    }
    if compression in ("deflate", "lzw", "zstd"):
        options["predictor"] = 3 if source.dtypes[0] == "float32" else 2
    options |= (
        {"tiled": True, "blockxsize": 256, "blockysize": 256} if min(height, width) >= 256 else {"blockysize": 256}
    )
    names = [interpretation.name for interpretation in source.colorinterp]
    if names[:3] == ["red", "green", "blue"]:
        options["photometric"] = "RGB"
    if "alpha" in names:
        options["ALPHA"] = "NON-PREMULTIPLIED"
    points, points_crs = source.gcps
    if points:
        options |= {"gcps": [_moved(point, scale) for point in points], "crs": points_crs}
    elif source.crs is not None or not source.transform.is_identity:
        options |= {"crs": source.crs, "transform": source.transform * source.transform.scale(1 / scale)}
    if source.rpcs is not None:
        options["rpcs"] = _moved_rpcs(source.rpcs, scale)
    return options


def carry(source: Any, result: Any, scale: int) -> None:
    """Tags, descriptions, units, scales and offsets of values, and what each band is."""
    result.update_tags(**_kept(source.tags()))
    for band in range(1, source.count + 1):
        result.update_tags(band, **_kept(source.tags(band)))
        if source.descriptions[band - 1]:
            result.set_band_description(band, source.descriptions[band - 1])
        if source.units[band - 1]:
            result.set_band_unit(band, source.units[band - 1])
    if any(factor != 1 for factor in source.scales) or any(source.offsets):
        result.scales, result.offsets = source.scales, source.offsets
    result.colorinterp = source.colorinterp


def _kept(tags: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if not key.startswith(_LEFT_OUT)}


def _moved(point: Any, scale: int) -> Any:
    from rasterio.control import GroundControlPoint

    return GroundControlPoint(
        row=point.row * scale, col=point.col * scale, x=point.x, y=point.y, z=point.z, id=point.id, info=point.info
    )


def _moved_rpcs(rpcs: Any, scale: int) -> Any:
    """Line and sample of an RPC count from the centre of the first pixel."""
    from rasterio.rpc import RPC

    values = rpcs.to_dict()
    for axis in ("line", "samp"):
        values[f"{axis}_off"] = (values[f"{axis}_off"] + 0.5) * scale - 0.5
        values[f"{axis}_scale"] *= scale
    return RPC(**values)
