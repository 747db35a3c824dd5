"""What is left of a run that stopped."""

import pytest

from caloforge.run_folder import CONFIG, PROVENANCE, WEIGHTS, abandon
from caloforge.training import CHECKPOINT, LOG


@pytest.mark.parametrize("kept", [None, CHECKPOINT, WEIGHTS])
def test_only_a_run_without_checkpoint_leaves_nothing(kept, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    names = {CONFIG, PROVENANCE, LOG} | ({kept} if kept else set())
    for name in names:
        (run / name).touch()
    abandon(run)
    assert run.exists() == (kept is not None)
    assert {each.name for each in run.glob("*")} == (names if kept else set())


def test_what_others_left_in_the_folder_stays(tmp_path):
    (tmp_path / "mine.txt").touch()
    (tmp_path / CONFIG).touch()
    abandon(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["mine.txt"]
