"""The metric around the network: settings, definition, hiding, moving, laziness."""

import copy
import pickle
import subprocess
import sys

import pytest
import torch
from hydra.utils import instantiate

from octosr.errors import ConfigError, MissingMetricError
from octosr.hashing import file_sha256
from octosr.metrics import maniqa, maniqa_network
from octosr.metrics.maniqa import Maniqa
from octosr.metrics.maniqa_network import load_network
from octosr.metrics.maniqa_protocols import PROTOCOLS


def test_network_is_hidden(tiny, pictures):
    metric = Maniqa(tiny)
    metric.update(pictures(1, 64, 64), torch.tensor([0]))
    metric.train()
    network = metric._network(torch.device("cpu"))
    assert not any(module.training for module in network.modules())
    assert metric.state_dict() == {}
    assert list(metric.parameters()) == []
    assert list(metric.modules()) == [metric]


def test_network_is_where_the_images_are(tiny, monkeypatch):
    """No second device here but torch's own one without numbers."""
    metric, meta = Maniqa(tiny), torch.device("meta")
    first = metric._network(torch.device("cpu"))
    assert metric._network(torch.device("cpu")) is first
    assert metric._network(meta) is not first
    assert metric._network(meta).fc_score[0].weight.device == meta
    assert metric._network(torch.device("cpu")).fc_score[0].weight.device.type == "cpu"
    metric._network(meta)
    metric.to("cpu")  # a metric that is moved takes its network along
    assert metric._holder[0][0] == torch.device("cpu")


def test_a_network_is_moved_without_reading_it_again(tiny, monkeypatch):
    metric, other = Maniqa(tiny), Maniqa(tiny, protocol="study_official")
    metric.prepare()
    other.prepare()
    assert metric._holder == other._holder
    monkeypatch.setattr(maniqa_network, "load_network", None)
    assert metric._network(torch.device("meta")).fc_score[0].weight.is_meta
    assert not other._network(torch.device("cpu")).fc_score[0].weight.is_meta


def test_pickle_and_copy_leave_the_network_out(tiny, pictures):
    metric = Maniqa(tiny)
    image = pictures(1, 64, 64)
    score = metric.score(image)
    content = pickle.dumps(metric)
    assert len(content) < 100_000
    for other in (pickle.loads(content), copy.deepcopy(metric)):
        assert other._holder == []
        assert other.definition == metric.definition
        assert torch.equal(other.score(image), score)
    assert len(metric._holder) == 1


def test_definition(tiny):
    definition = Maniqa(tiny).definition
    assert definition | {"version": "", "weights_sha256": ""} == {
        "implementation": "octosr, layers of pyiqa.archs.maniqa_arch",
        "version": "",
        "variant": "koniq",
        "scale": 0.8,
        "weights_sha256": "",
        "protocol": "study",
        "resize": "8 bits, Pillow bicubic to 224x224",
        "enlargement": "shorter side up to 224 to 225, bilinear",
        "crops": 20,
        "crop_positions": "uniform grid of pyiqa",
        "pooling": "sum(wf)/(sum(w)+1e-8) over the patches of all crops",
        "precision": "fp32",
        "color_space": "rgb",
        "crop_border": 0,
    }
    assert definition["weights_sha256"] == file_sha256(tiny)
    assert Maniqa(tiny, variant="pipal").definition["scale"] == 0.13
    assert Maniqa.higher_is_better
    assert Maniqa.compares_with == "nothing"
    settings = [{"protocol": p} for p in PROTOCOLS] + [{"precision": "bf16"}, {"variant": "kadid"}]
    definitions = [str(Maniqa(tiny, **setting).definition) for setting in settings]
    assert len(set(definitions)) == 6
    assert Maniqa(tiny, max_crops=3, max_memory_mb=99, name="other").definition == definition  # change no score


def test_setting_up_imports_neither_pyiqa_nor_timm(tiny_file):
    code = f"""
import sys
from octosr.metrics.maniqa import Maniqa
metric = Maniqa({str(tiny_file)!r})
assert metric.definition
print(sorted({{"pyiqa", "timm", "einops"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


def test_bf16_is_near_fp32(tiny, pictures):
    images = pictures(2, 224, 224)
    exact, near = Maniqa(tiny).score(images), Maniqa(tiny, precision="bf16").score(images)
    assert not torch.equal(exact, near)
    torch.testing.assert_close(near, exact, rtol=0.02, atol=0)


def test_crops_at_once_follow_the_memory(tiny):
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert Maniqa(tiny).crops_at_once(cpu) == 1
    assert Maniqa(tiny, max_memory_mb=3000).crops_at_once(cuda) == 3000 // maniqa.MB_PER_CROP == 20
    assert Maniqa(tiny, max_memory_mb=1).crops_at_once(cuda) == 1
    assert Maniqa(tiny, max_crops=5).crops_at_once(cpu) == Maniqa(tiny, max_crops=5).crops_at_once(cuda) == 5


def test_weights_changed_after_setting_up(tmp_path):
    path = tmp_path / "own.pt"
    path.write_bytes(b"before")
    metric = Maniqa(path)
    path.write_bytes(b"after")
    with pytest.raises(MissingMetricError, match="removed or changed"):
        metric.score(torch.zeros(1, 3, 64, 64))
    path.unlink()
    with pytest.raises(MissingMetricError, match="removed or changed"):
        metric.prepare()


def test_metrics_of_one_file_load_it_once(tiny, pictures, monkeypatch):
    loaded = []
    monkeypatch.setattr(maniqa_network, "load_network", lambda *a: loaded.append(a) or load_network(*a))
    image = pictures(1, 64, 64)
    first, second = Maniqa(tiny), Maniqa(tiny, protocol="study_official")
    assert first.score(image) != second.score(image)
    assert len(loaded) == 1


def test_wrong_settings(tmp_path):
    path = tmp_path / "own.pt"
    path.write_bytes(b"x")
    for settings, message in (
        ({"variant": "konig"}, "Did you mean 'koniq'"),
        ({"protocol": "studdy"}, r"metrics\.maniqa\.protocol.*Did you mean 'study'"),
        ({"precision": "bf61"}, "Did you mean 'bf16'"),
        ({"max_crops": 0}, "max_crops must be at least 1, but is 0"),
        ({"max_memory_mb": -1}, "max_memory_mb must be at least 1"),
    ):
        with pytest.raises(ConfigError, match=message):
            Maniqa(path, **settings)


def test_protocols_can_stand_side_by_side(composer, tiny_file):
    chosen = ["metrics=[maniqa,maniqa_pyiqa,maniqa_official]", f"metrics.maniqa.weights={tiny_file}"]
    cfg = composer("eval", "dataset=isaid", "metrics.maniqa.variant=pipal", *chosen)
    metrics = {name: instantiate(cfg.metrics[name]) for name in ("maniqa", "maniqa_pyiqa", "maniqa_official")}
    assert [metric.name for metric in metrics.values()] == list(metrics)
    assert [metric.protocol for metric in metrics.values()] == ["study", "pyiqa", "official"]
    assert {metric.scale for metric in metrics.values()} == {0.13}
    assert len({metric.weights_sha256 for metric in metrics.values()}) == 1
    alone = composer("eval", "dataset=isaid", "metrics=[maniqa_pyiqa]", f"metrics.maniqa_pyiqa.weights={tiny_file}")
    assert instantiate(alone.metrics.maniqa_pyiqa).definition["variant"] == "koniq"
