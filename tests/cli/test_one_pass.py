"""`eval` of several checkpoints as a user types it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.conftest import Outcome

Bench = Callable[..., Outcome]


def test_several_checkpoints_give_one_table_and_the_code_of_the_worst(
    bench: Bench, own_twin: Path, stripes_checkpoint: Path, tmp_path: Path
) -> None:
    good = Path(shutil.copy(stripes_checkpoint, tmp_path / "good.pth"))
    bad = tmp_path / "bad.pth"
    bad.write_bytes(b"no checkpoint")
    done = bench("eval", good, bad, "--data", own_twin, "--output", tmp_path / "runs", env={"COLUMNS": ""})
    assert done.code == 4
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name.startswith("good-")
    assert f"{run}" in done.out
    assert "1 checkpoint failed, 1 evaluated" in done.out
    assert f"error: {bad} " in done.err
    assert f"\n{good}\n  adapter colour_stripes" in f"\n{done.err}"
    assert f"{good}: search and figures\n" in done.err
    found = bench("eval", good, bad, "--data", own_twin, "--output", tmp_path / "runs", "--json")
    assert found.code == 4
    assert [sorted(one) for one in found.json] == [
        ["checkpoint", "folder", "record"],
        ["checkpoint", "error", "exit_code"],
    ]
    assert found.json[0]["record"]["counts"]["query"] == 6
    assert bench("eval", good, good, "--data", own_twin).code == 2
    assert bench("eval", good, tmp_path / "nowhere.pth", "--data", own_twin).code == 3
    assert bench("eval", good, bad, "--data", own_twin, "--dry-run").code == 2
    assert bench("eval", good, bad, "--data", own_twin, "--split", "all").code == 2
