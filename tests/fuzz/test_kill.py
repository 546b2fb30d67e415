"""A run that is killed leaves whole files or none, and the next one ends as if nothing had been; see `kill.py`."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

sys.path.insert(0, str(Path(__file__).parent))
import kill


@pytest.mark.parametrize(("command", "count"), [("predict -o", 2), ("quantize", 1)])
def test_what_is_killed_breaks_nothing(command, count, capsys):
    code = kill.main([str(count), "--only", command])
    told = capsys.readouterr()
    assert code == 0, told.err
    killed, ended, whole, same = (int(cell) for cell in told.out.splitlines()[-1].split("|")[2:6])
    assert killed + ended == whole == same == count
