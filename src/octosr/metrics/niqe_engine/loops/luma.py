"""Luma of whole rows, as :func:`octosr.metrics.niqe_engine.maps.luma` computes it, operation for operation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from octosr.compiled import compiled

Float32s = npt.NDArray[np.float32]
YIQ, YCBCR, YCBCR_FLOAT64, PILLOW_L = range(4)
"""The ways to compute it."""
_F = np.float32
_255, _HALF, _16 = _F(255), _F(0.5), _F(16)
_YIQ_R, _YIQ_G, _YIQ_B = _F(0.299), _F(0.587), _F(0.114)
_Y_R, _Y_G, _Y_B = 65.481, 128.553, 24.966
_YF_R, _YF_G, _YF_B = _F(_Y_R), _F(_Y_G), _F(_Y_B)
_L_R, _L_G, _L_B = _F(19595 / 2**16), _F(38470 / 2**16), _F(7471 / 2**16)


@compiled
def luma_rows(
    memory: Float32s, strides: tuple[int, int, int], first: int, last: int, way: int, fused: int, out: Float32s
) -> None:
    """Luma of 0 to 255 on whole numbers of rows ``first`` to ``last`` (which is not one of them).

    Args:
        memory: what an image of RGB in [0, 1] is a view of, from its first value on.
        strides: places from one channel, row and column to the next.
        first: row.
        last: row.
        way: ``YIQ``, ``YCBCR``, ``YCBCR_FLOAT64`` or ``PILLOW_L``.
        fused: for ``YIQ``, in how many of the last two steps product and sum are rounded together.
        out: the map, (H+6, W+6); its border is left as it is.
    """
    channel, row, column = strides
    rgb = np.empty((3, out.shape[1] - 6), np.float32)
    red, green, blue = rgb[0], rgb[1], rgb[2]
    for y in range(first, last):
        for c in range(3):
            _gather(memory[c * channel + y * row :], column, rgb[c])
        to = out[y + 3, 3 : out.shape[1] - 3]
        if way == PILLOW_L:
            _pillow_l(red, green, blue, to)
        elif way == YIQ:
            _yiq(red, green, blue, fused, to)
        elif way == YCBCR:
            _ycbcr(red, green, blue, to)
        else:
            _ycbcr_float64(red, green, blue, to)


@compiled
def _gather(memory: Float32s, step: int, out: Float32s) -> None:
    """Every ``step``-th value; steps that are common have loops of their own, which use vector instructions."""
    if step == 1:
        for x in range(len(out)):
            out[x] = memory[x]
    elif step == 3:
        for x in range(len(out)):
            out[x] = memory[3 * x]
    else:
        for x in range(len(out)):
            out[x] = memory[step * x]


@compiled
def _pillow_l(red: Float32s, green: Float32s, blue: Float32s, out: Float32s) -> None:
    for x in range(len(out)):
        total = np.rint(red[x] * _255) * _L_R + np.rint(green[x] * _255) * _L_G + np.rint(blue[x] * _255) * _L_B
        out[x] = np.floor(total + _HALF)


@compiled
def _yiq(red: Float32s, green: Float32s, blue: Float32s, fused: int, out: Float32s) -> None:
    for x in range(len(out)):
        second, third = np.float64(green[x]) * _YIQ_G, np.float64(blue[x]) * _YIQ_B
        if fused < 2:
            second = np.float64(np.float32(second))
        if fused < 1:
            third = np.float64(np.float32(third))
        total = np.float32(np.float64(red[x] * _YIQ_R) + second)
        out[x] = np.rint(np.float32(np.float64(total) + third) * _255)


@compiled
def _ycbcr(red: Float32s, green: Float32s, blue: Float32s, out: Float32s) -> None:
    for x in range(len(out)):
        out[x] = np.rint((red[x] * _YF_R + green[x] * _YF_G + blue[x] * _YF_B + _16) / _255 * _255)


@compiled
def _ycbcr_float64(red: Float32s, green: Float32s, blue: Float32s, out: Float32s) -> None:
    for x in range(len(out)):
        total = np.float64(red[x]) * _Y_R + np.float64(green[x]) * _Y_G + np.float64(blue[x]) * _Y_B
        out[x] = np.rint(np.float32((total + 16.0) / 255.0) * _255)
