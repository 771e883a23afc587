"""docs/ssl.md: its script starts a training that collapses, and `watch` stops it while it runs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("lightly")
DOCUMENT = Path(__file__).parents[3] / "docs" / "ssl.md"


@pytest.mark.slow
def test_the_script_stops_a_training_that_collapses(tmp_path: Path) -> None:
    found = re.search(r"^```bash\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with subprocess.Popen(
        ["bash", "-c", found[1]],
        cwd=tmp_path,
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as script:
        try:
            said = script.communicate(timeout=300)[0]
        except subprocess.TimeoutExpired:
            os.killpg(script.pid, signal.SIGKILL)
            raise
    assert "COLLAPSE" in said, said
    assert "training stopped" in said
    history = json.loads((tmp_path / "demo" / "broken" / "watch" / "history.json").read_text())
    assert "collapse" in history["rows"][-1]["flags"]
    assert not (tmp_path / "demo" / "broken" / "epoch-0200.pt").exists()  # it never came to its end
