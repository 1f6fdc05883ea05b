"""``make demo``: train a small DAN on embedded photographs, compare it with bicubic, draw what came out."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from rich.rule import Rule

from octosr.callbacks.picture import comparison_picture, save_picture
from octosr.data.decode import read_image
from octosr.data.demo import build_demo
from octosr.errors import MissingWeightsError
from octosr.runs.console import LevelHandler, console
from octosr.runs.evaluate import evaluate
from octosr.runs.sweep import CellResult, results_table
from octosr.runs.train import train
from octosr.runs.weights import checkpoint_folder
from octosr.scores.store import ScoreStore
from octosr.techniques.realesrgan.package import find as find_realesrgan

log = logging.getLogger(__name__)

PICTURED = 5  # one held-out tile a domain
TITLES = {"bicubic": "bicubic", "realesrgan": "Real-ESRGAN (its authors')", "dan": "DAN (small, minutes)"}


def demo(conf: Path, overrides: Sequence[str] = ()) -> tuple[list[CellResult], Path]:
    """Train, evaluate and draw.

    Args:
        conf: the folder of the configs.
        overrides: settings as on the command line, for training and evaluation alike.

    Returns:
        The results of each technique on both parts of the demo set, and the picture's path.
    """
    _say_on_screen()
    with initialize_config_dir(str(conf.resolve()), version_base="1.3"):
        console.print(Rule("1/3  training a small DAN on crops of embedded photographs"))
        cfg = compose("train", ["experiment=demo", "technique=dan", *overrides])
        build_demo(Path(cfg.output_root) / "cache")
        train(cfg)
        console.print(Rule("2/3  super-resolving and judging regions it has not seen"))
        compared = ["bicubic", *_pretrained(), "dan"]
        results = [
            _evaluate(cfg, technique, part, overrides)
            for part, techniques in (("demo", ["bicubic", "dan"]), ("demo_pairs", compared))
            for technique in techniques
        ]
    console.print(Rule("3/3  what came out"))
    console.print(results_table(results))
    console.print(_verdict(results))
    picture = draw(Path(cfg.output_root), compared)
    console.print(
        f"picture  {picture}\nimages   {Path(cfg.output_root) / 'hr'}\nscores   {Path(cfg.output_root) / 'scores'}"
    )
    return results, picture


def _pretrained() -> list[str]:
    """Real-ESRGAN where its packages are; otherwise it is said how to get them."""
    try:
        find_realesrgan("x4plus")
        if importlib.util.find_spec("spandrel") is None:
            raise MissingWeightsError("Real-ESRGAN needs the package spandrel: pip install 'octosr[models]'.")
    except MissingWeightsError as error:
        log.warning("Real-ESRGAN is left out of the comparison. %s", error)
        return []
    return ["realesrgan"]


def draw(output_root: Path, techniques: Sequence[str]) -> Path:
    """LR | each technique | HR of one held-out tile of each domain, with the PSNR under them."""
    folder = build_demo(output_root / "cache")
    store = ScoreStore(output_root / "scores")
    psnr = {t: store.read(t, "demo_pairs").set_index("image")["psnr"] for t in techniques}
    names = _one_a_domain(list(psnr["dan"].index))
    columns = {
        "LR (pixels enlarged)": [folder / "pairs" / "LR" / f"{name}.png" for name in names],
        **{TITLES[t]: [output_root / "hr" / t / "demo_pairs" / f"{name}.png" for name in names] for t in techniques},
        "HR": [folder / "pairs" / "HR" / f"{name}.png" for name in names],
    }
    captions = {TITLES[technique]: scores for technique, scores in psnr.items()}
    picture = comparison_picture(
        {title: torch.stack([_read(path) for path in paths]) for title, paths in columns.items()},
        rows=names,
        captions={title: [f"{scores[name]:.2f} dB" for name in names] for title, scores in captions.items()},
    )
    path = output_root / "demo.png"
    save_picture(picture, path)
    return path


def _evaluate(trained: DictConfig, technique: str, part: str, overrides: Sequence[str]) -> CellResult:
    weights = [f"weights='{checkpoint_folder(trained) / 'last.ckpt'}'"] if technique == "dan" else []
    settings = ["experiment=demo", f"technique={technique}", f"dataset=more/{part}", *weights]
    return evaluate(compose("eval", [*settings, *overrides]), show=False)


def _verdict(results: Sequence[CellResult]) -> str:
    psnr = {r.technique: r.values["psnr"] for r in results if r.dataset == "demo_pairs"}
    gain = psnr["dan"] - psnr["bicubic"]
    word = "beats" if gain > 0 else "does not beat"
    return f"DAN {word} bicubic by {gain:+.2f} dB PSNR on held-out tiles blurred and shrunk 8 times"


def _one_a_domain(names: Sequence[str]) -> list[str]:
    """The first name of each domain (names start with it), the study's domains before the others."""
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(name.split("-")[0], name)
    other = first.pop("other", None)
    return [*first.values(), *([other] if other else [])][:PICTURED]


def _read(path: Path) -> torch.Tensor:
    return torch.from_numpy(read_image(path)).permute(2, 0, 1)


def _say_on_screen() -> None:
    """What Hydra's job logging does for the other entry points."""
    logger = logging.getLogger("octosr")
    if not logger.handlers:
        handler = LevelHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
