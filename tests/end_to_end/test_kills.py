"""A training that is killed -9 at any moment and started again ends as one that never was.

Three kills here; by hand, for all techniques: OCTOSR_KILLS=20 OCTOSR_KILL_TECHNIQUES=apa,blindsr,dan,fastgan,moesr
python -m pytest tests/end_to_end/test_kills.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from octosr.data.demo import build_demo
from octosr.data.standin import build_standins

KILLS = int(os.environ.get("OCTOSR_KILLS", "3"))
TECHNIQUES = os.environ.get("OCTOSR_KILL_TECHNIQUES", "dan").split(",")
SCRIPT = Path(__file__).with_name("kill_training.py")


@pytest.mark.slow
@pytest.mark.timeout(900 + 120 * KILLS)
@pytest.mark.parametrize("technique", TECHNIQUES)
def test_killed_and_resumed_equals_uninterrupted(
    technique: str, tmp_path: Path, demo_cache: Path, record_property: Callable[[str, object], None]
) -> None:
    data = tmp_path / "data"
    build_standins(data, ["isaid"], build_demo(demo_cache), count=5)
    longer = ["trainer.max_steps=16"] if technique == "dan" else []
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), str(data), str(KILLS), "1", technique, *longer],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["different"] == []
    assert told["kills"] >= KILLS
    assert told["resumes"] >= 1
    record_property("shown", f"{told['kills']} kills, {told['resumes']} resumes: equal bit for bit")
