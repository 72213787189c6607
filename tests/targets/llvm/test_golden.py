"""How every cell is divided into passes, and what is written for it, beside the summaries in golden/."""

import pytest

from .golden.write import FOLDER, NAMES, summary

HOW = "the summary changed: if that is meant, `python -m tests.targets.llvm.golden.write` writes all anew"


@pytest.mark.parametrize("name", NAMES)
def test_the_summary_of_a_cell(name):
    kept = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    assert summary(name) + "\n" == kept, HOW


@pytest.mark.parametrize("name", NAMES)
def test_summaries_stay_small(name):
    assert len((FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()) < 60


def test_there_is_no_summary_of_an_unknown_cell():
    assert sorted(path.stem for path in FOLDER.glob("*.txt")) == sorted(NAMES)
