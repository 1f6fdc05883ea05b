"""Weight files: nothing is run from them, and what does not fit is said."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from octosr.errors import WrongWeightsError
from octosr.techniques.weights import load_checkpoint_weights, published_parts, read_weight_file, strip_prefixes


class Malicious:
    """Would run code if it were unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("1 / 0",)


def test_a_file_that_needs_code_is_refused_and_named(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"state_dict": Malicious()}, path)
    with pytest.raises(WrongWeightsError, match=r"evil\.pth"):
        read_weight_file(path)


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04truncated"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(WrongWeightsError, match="broken"):
        read_weight_file(path)


def test_truncated_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "half.ckpt"
    torch.save({"state_dict": {"weight": torch.zeros(1000)}}, path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(WrongWeightsError, match="half"):
        read_weight_file(path)


def test_prefixes_of_wrappers_are_removed_wherever_they_stand() -> None:
    state = {
        "module._orig_mod.a.weight": torch.zeros(1),
        "net._orig_mod.b": torch.ones(1),
        "submodule.c": torch.ones(1),
    }
    assert set(strip_prefixes(state)) == {"a.weight", "net.b", "submodule.c"}


@pytest.mark.parametrize("kind", ["checkpoint", "bare", "safetensors", "compiled"])
def test_every_form_of_our_weights_loads(tmp_path: Path, kind: str) -> None:
    source, target = nn.Linear(3, 2), nn.Linear(3, 2)
    state = source.state_dict()
    path = tmp_path / ("w.safetensors" if kind == "safetensors" else "w.ckpt")
    if kind == "safetensors":
        save_file(state, path)
    elif kind == "checkpoint":
        torch.save({"state_dict": state, "global_step": 12}, path)
    else:
        torch.save({f"_orig_mod.{k}": v for k, v in state.items()} if kind == "compiled" else state, path)
    line = load_checkpoint_weights(target, [path])
    assert torch.equal(target.weight, source.weight)
    assert ("12 steps" in line) == (kind == "checkpoint")


def test_what_does_not_fit_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "other.ckpt"
    torch.save({"state_dict": {"weight": torch.zeros(2, 4), "extra": torch.zeros(1)}}, path)
    with pytest.raises(WrongWeightsError, match=r"missing: bias.*unknown: extra.*weight \(2, 4\) instead of \(2, 3\)"):
        load_checkpoint_weights(nn.Linear(3, 2), [path])
    with pytest.raises(WrongWeightsError, match="2 were given"):
        load_checkpoint_weights(nn.Linear(3, 2), [path, path])


def test_published_files_are_told_from_ours_and_not_mixed() -> None:
    contents = {Path("a.pt"): {"part": "one"}, Path("b.pt"): {"part": "two"}, Path("c.ckpt"): {"state_dict": {}}}

    def part_of(content: Mapping[str, Any]) -> str | None:
        return content.get("part")

    published = {path: contents[path] for path in (Path("a.pt"), Path("b.pt"))}
    assert published_parts(published, part_of, "Some") == {Path("a.pt"): "one", Path("b.pt"): "two"}
    assert published_parts({Path("c.ckpt"): contents[Path("c.ckpt")]}, part_of, "Some") == {}
    with pytest.raises(WrongWeightsError, match=r"Published Some weights cannot be mixed with other files: c\.ckpt\."):
        published_parts(contents, part_of, "Some")
