"""The layers at full width against pyiqa's own forward, and narrow ones against a straight transcription in float64."""

import gc
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import erf, expit

from octosr.metrics import maniqa_network
from octosr.metrics.maniqa_network import crop_sums, empty_network, load_network, shared_network


def score_of(sums):
    return sums[:, 0] / sums[:, 1]


# A straight transcription of the published architecture, token by token, in float64.


def linear(p, name, x):
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def norm(p, name, x, eps):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * p[f"{name}.weight"] + p[f"{name}.bias"]


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def gelu(x):
    return x * (1 + erf(x / np.sqrt(2))) / 2


def mlp(p, name, x):
    return linear(p, f"{name}.fc2", gelu(linear(p, f"{name}.fc1", x)))


def heads_of(x, heads):
    """(L, 3C) -> q, k, v, each (heads, L, C / heads)."""
    return x.reshape(len(x), 3, heads, -1).transpose(1, 2, 0, 3)


def vit_features(p, crop, heads):
    patches = crop.reshape(3, 28, 8, 28, 8).transpose(1, 3, 0, 2, 4).reshape(784, -1)
    kernel = p["vit.patch_embed.proj.weight"]
    x = patches @ kernel.reshape(len(kernel), -1).T + p["vit.patch_embed.proj.bias"]
    x = np.concatenate([p["vit.cls_token"][0], x]) + p["vit.pos_embed"][0]
    kept = []
    for i in range(10):
        block = f"vit.blocks.{i}"
        q, k, v = heads_of(linear(p, f"{block}.attn.qkv", norm(p, f"{block}.norm1", x, 1e-6)), heads)
        y = softmax(q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])) @ v
        x = x + linear(p, f"{block}.attn.proj", y.transpose(1, 0, 2).reshape(x.shape))
        x = x + mlp(p, f"{block}.mlp", norm(p, f"{block}.norm2", x, 1e-6))
        kept.append(x[1:])
    return np.concatenate(kept[6:10], axis=1).T


def transposed_attention(p, name, x):
    q, k, v = (linear(p, f"{name}.c_{part}", x) for part in "qkv")
    y = softmax(q @ k.T / np.sqrt(784)) @ v
    return y.T.reshape(x.shape) + x  # the slip: (784, C) read as (C, 784)


def windows(p, name, x, shift):
    """Attention inside windows of 4x4 of the map rolled by ``shift``, never across the seam that rolling makes."""
    out = np.zeros_like(x)
    table = p[f"{name}.relative_position_bias_table"]
    cells = [(r, c) for r in range(4) for c in range(4)]
    bias = np.array([[table[(r - s + 3) * 7 + c - d + 3] for s, d in cells] for r, c in cells]).transpose(2, 0, 1)
    for top in range(0, 28, 4):
        for left in range(0, 28, 4):
            rolled = [(top + r, left + c) for r, c in cells]
            index = [((r + shift) % 28) * 28 + (c + shift) % 28 for r, c in rolled]
            q, k, v = heads_of(linear(p, f"{name}.qkv", x[index]), 4)
            weights = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1]) + bias
            side = np.array([(r >= 26, c >= 26) for r, c in rolled])  # of the seam
            if shift:
                weights = weights - 100.0 * (side[:, None] != side[None]).any(-1)
            y = (softmax(weights) @ v).transpose(1, 0, 2).reshape(16, -1)
            out[index] = linear(p, f"{name}.proj", y)
    return out


def swin(p, name, x, scale):
    for layer in (f"{name}.layers.{i}" for i in range(2)):
        y = x
        for block, shift in ((f"{layer}.blocks.0", 0), (f"{layer}.blocks.1", 2)):
            y = y + windows(p, f"{block}.attn", norm(p, f"{block}.norm1", y, 1e-5), shift)
            y = y + mlp(p, f"{block}.mlp", norm(p, f"{block}.norm2", y, 1e-5))
        padded = np.pad(y.reshape(28, 28, -1), ((1, 1), (1, 1), (0, 0)))
        kernel = p[f"{layer}.conv.weight"]
        y = sum(padded[i : i + 28, j : j + 28] @ kernel[:, :, i, j].T for i in range(3) for j in range(3))
        x = scale * np.maximum(y + p[f"{layer}.conv.bias"], 0).reshape(784, -1) + x
    return x


def straight(p, crop, scale, vit_heads=2):
    """The score of one crop in [-1, 1], (3, 224, 224)."""
    x = vit_features(p, crop, vit_heads)
    for stage in ("1", "2"):
        for i in range(2):
            x = transposed_attention(p, f"tablock{stage}.{i}", x)
        kernel = p[f"conv{stage}.weight"][:, :, 0, 0]
        x = swin(p, f"swintransformer{stage}", x.T @ kernel.T + p[f"conv{stage}.bias"], scale).T
    hidden = [np.maximum(linear(p, f"fc_{name}.0", x.T), 0) for name in ("score", "weight")]
    score = np.maximum(linear(p, "fc_score.3", hidden[0]), 0)
    weight = expit(linear(p, "fc_weight.3", hidden[1]))
    return (score * weight).sum() / weight.sum()


@pytest.mark.parametrize(("variant", "scale"), [("koniq", 0.8), ("pipal", 0.13)])
def test_layers_follow_the_published_architecture(tiny, pictures, variant, scale):
    network = load_network(variant, tiny)
    crops = pictures(4, 224, 224)[2:] * 2 - 1
    with torch.no_grad():
        ours = score_of(crop_sums(network, crops))
    state = {k: v.double().numpy() for k, v in torch.load(tiny, weights_only=True)["params"].items()}
    expected = [straight(state, crop.double().numpy(), scale) for crop in crops]
    assert abs(expected[0] - expected[1]) > 1e-3 * abs(expected[0])
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-5)


@pytest.mark.slow
def test_layers_equal_pyiqas_forward_at_full_width(weights, theirs, pictures, monkeypatch):
    """pyiqa's own forward, with its cropping taken out, on the same 224x224 input."""
    from pyiqa.archs import maniqa_arch

    crop = pictures(1, 224, 224)
    network = load_network("koniq", weights)
    assert sum(p.numel() for p in network.parameters()) == 135_747_530 - 21_582_952
    with torch.no_grad():
        ours = crop_sums(network, crop * 2 - 1)
    del network
    create = maniqa_arch.timm.create_model
    monkeypatch.setattr(
        maniqa_arch, "timm", SimpleNamespace(create_model=lambda name, pretrained: create(name, pretrained=False))
    )
    monkeypatch.setattr(maniqa_arch, "uniform_crop", lambda x, crop_size, crop_num: x)
    with torch.no_grad():
        expected = theirs(weights)(crop).reshape(1)
    torch.testing.assert_close(score_of(ours).float(), expected, rtol=1e-5, atol=0)
    assert float(expected) > 0


def test_a_batch_is_what_its_crops_are(tiny, pictures):
    network = load_network("koniq", tiny)
    crops = pictures(3, 224, 224) * 2 - 1
    with torch.no_grad():
        together = crop_sums(network, crops)
        alone = torch.cat([crop_sums(network, crop) for crop in crops.split(1)])
    assert together.dtype == torch.float64
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=0)


def test_rows_of_the_channel_attention_are_independent(tiny, pictures, monkeypatch):
    network = load_network("koniq", tiny)
    crop = pictures(1, 224, 224) * 2 - 1
    with torch.no_grad():
        whole = crop_sums(network, crop)
        monkeypatch.setattr(maniqa_network, "ATTENTION_ROWS", 13)
        torch.testing.assert_close(crop_sums(network, crop), whole, rtol=1e-5, atol=0)


def test_the_network_is_frozen_without_hooks_and_without_what_is_not_used(tiny):
    network = load_network("koniq", tiny)
    assert not any(module.training for module in network.modules())
    assert not any(p.requires_grad for p in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())
    assert network.save_output.outputs == []
    assert len(network.vit.blocks) == 10
    assert not hasattr(network.swintransformer1, "downsample")


def test_scale_reaches_the_network(tiny):
    for variant, scale in (("koniq", 0.8), ("kadid", 0.8), ("pipal", 0.13)):
        network = load_network(variant, tiny)
        assert network.swintransformer1.scale == network.swintransformer2.scale == scale


def test_building_leaves_timm_and_the_random_numbers_alone(monkeypatch):
    from pyiqa.archs import maniqa_arch

    timm, block, state = maniqa_arch.timm, maniqa_arch.Block, torch.get_rng_state()

    def broken(**options):
        assert maniqa_arch.timm is not timm
        torch.rand(3)
        raise RuntimeError("no memory")

    monkeypatch.setattr(maniqa_arch, "MANIQA", broken)
    with pytest.raises(RuntimeError, match="no memory"):
        empty_network(0.8)
    assert (maniqa_arch.timm, maniqa_arch.Block) == (timm, block)
    assert torch.equal(torch.get_rng_state(), state)
    assert not maniqa_network._building.locked()


def test_metrics_with_the_same_weights_share_one_network(tiny):
    cpu, digest = torch.device("cpu"), maniqa_network.cached_sha256(tiny)
    with ThreadPoolExecutor(3) as pool:
        first, second, third = pool.map(lambda _: shared_network("koniq", tiny, digest, cpu), range(3))
    assert first is second is third
    assert shared_network("kadid", tiny, digest, cpu) is first  # the same file and the same scale
    assert shared_network("pipal", tiny, digest, cpu) is not first
    del first, second, third, pool
    gc.collect()
    assert not maniqa_network._shared
