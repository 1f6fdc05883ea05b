"""Generated images in the report: what was measured, in words, tables and thumbnails; damaged files are said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from octosr.study.figures import sample_mosaic, to_svg
from octosr.study.inputs.diversity import FIGURES, Generated, read_generated
from octosr.study.sections.generated import generated_images


def write(root: Path, technique: str, dataset: str, pairs: float | None, nearest: float | None, **more: object) -> None:
    figures = dict.fromkeys(FIGURES, 1.0) | {"pairwise_ratio": pairs, "nearest_ratio": nearest, "copies": 0.25}
    lines = []
    if pairs is not None and pairs < 0.5:
        line = f"mode collapse: two samples differ by 0.1, {pairs:.2f}x"
        lines.append({"severity": "fail" if pairs < 0.2 else "warn", "distance": "octaves", "line": line})
    content = {
        "kind": "study", "samples": 3, "reals": 100, "distances": {"octaves": figures}, "findings": lines,
        "not_available": {"fid": "no file", "kid": "no file"},
        "nearest": [{"sample": f"seed000{n}", "training": f"low_{n}", "distance": 0.5 + n} for n in range(3)],
    }  # fmt: skip
    path = root / "diversity" / technique / f"{dataset}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    if "near" in more:
        more["nearest"] = more.pop("near")
    path.write_text(json.dumps(content | more))


CELLS = [("apa", "isaid"), ("fastgan", "isaid"), ("fastgan", "flowers"), ("dan", "isaid"), ("my<gan>", "isaid")]


@pytest.fixture
def generated(tmp_path: Path) -> Generated:
    write(tmp_path, "apa", "isaid", 0.12, 1.1)
    write(tmp_path, "fastgan", "isaid", 0.9, 1.1, fid=120.5, kid=0.0123, not_available={})
    write(tmp_path, "fastgan", "flowers", None, None)
    write(tmp_path, "my<gan>", "isaid", 0.4, 0.9)
    write(tmp_path, "apa", "ships", 0.9, 0.9)  # of no cell of the report
    for n in range(3):
        path = tmp_path / "hr" / "fastgan" / "isaid" / f"seed000{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((20, 30, 3), 40 * n, np.uint8)).save(path)
    return read_generated(tmp_path / "diversity", CELLS, tmp_path / "hr")


def test_the_section_says_what_was_measured(generated: Generated) -> None:
    section = generated_images(generated)
    gate = section.gates[0]
    assert gate.outcome == "warn"
    assert gate.finding == "Mode collapse in 2 cells of 3: APA on isaid (0.12x, failed) and my<gan> on isaid (0.40x)."
    table = section.tables[0].frame.set_index(["technique", "dataset"])
    assert table.loc[("APA", "isaid"), "verdict"] == "mode collapse (fail)"
    assert table.loc[("FastGAN", "isaid"), ["FID", "KID", "verdict"]].tolist() == [120.5, 0.0123, "fine"]
    assert table.loc[("FastGAN", "flowers"), ["pairs", "nearest", "FID"]].isna().all()
    assert "Not available: FID and KID. no file" in section.tables[0].caption
    near = section.tables[1].frame.set_index(["technique", "dataset"]).loc[("APA", "isaid")]
    assert near[["sample", "training image", "ratio"]].tolist() == ["seed0000", "low_0", 0.5]
    assert [f.key for f in section.figures] == ["samples-apa", "samples-fastgan", "samples-my-3c-gan-3e-"]
    assert {len(g.nearest) for g in generated.sets} == {3}


def test_fine_unknown_and_damaged(tmp_path: Path) -> None:
    write(tmp_path, "apa", "isaid", 0.9, 0.9)
    write(tmp_path, "fastgan", "isaid", 0.9, 0.9, distances=[])
    write(tmp_path, "my<gan>", "isaid", 1, 1, near=[{"sample": "../x", "training": "a", "distance": 1}])
    (tmp_path / "diversity" / "dan").mkdir()
    (tmp_path / "diversity" / "dan" / "isaid.json").write_text("{")
    found = read_generated(tmp_path / "diversity", CELLS)
    section = generated_images(found)
    assert section.gates[0].outcome == "pass"
    assert "Neither collapse nor memorisation in 1 cell." in section.gates[0].finding
    assert len(found.damaged) == 3
    assert sum("is damaged" in line for line in section.paragraphs) == 3
    assert section.figures == []
    assert generated_images(Generated(damaged={"x": "y"})).gates[0].outcome == "unknown"


def test_thumbnails_stand_in_rows_and_gaps_stay_empty(generated: Generated, tmp_path: Path) -> None:
    folder = tmp_path / "hr" / "fastgan" / "isaid"
    (folder / "seed0001.png").write_bytes(b"damaged")
    files = [folder / f"seed000{n}.png" for n in range(4)]
    figure = sample_mosaic({"isaid": files, "flowers": [tmp_path / "nothing.png"]}, technique="fastgan")
    canvas = np.asarray(figure.axes[0].images[0].get_array())
    assert canvas.shape == (72, 4 * 76 - 4, 3)
    assert [int(canvas[36, 36 + 76 * n, 0]) for n in range(4)] == [0, 255, 80, 255]
    assert to_svg(figure) == to_svg(sample_mosaic({"isaid": files}, technique="fastgan"))
    empty = sample_mosaic({"isaid": [tmp_path / "nothing.png"]}, technique="fastgan")
    assert "not on this machine" in empty.axes[0].texts[0].get_text()
