"""A drawn recording lasts as long as the one it is of."""

# ruff: noqa: ARG002, ARG005 - arguments of the protocols

from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from qcore_plugins.commands.drawings import Drawings


class Results:
    """Keeps what is shown: the number of an item, or the same once more."""

    def __init__(self):
        self.shown = []

    def draw(self, raw, result, path): ...

    def records(self, result): ...

    @contextmanager
    def film(self, folder, stem, rate):
        self.rate = rate
        yield SimpleNamespace(
            add=lambda raw, result: self.shown.append(result), hold=lambda: self.shown.append(self.shown[-1])
        )


class Clip:
    stem, total, rate = "clip", None, 10.0

    def __iter__(self):
        return iter(())


@pytest.mark.parametrize(
    ("times", "stride", "shown"),
    [
        ([0, 0.1, 0.2], 1, [0, 1, 2]),
        ([0, 0.1, 0.5, 0.6], 1, [0, 1, 1, 1, 1, 2, 3]),
        ([0, 0.2, 0.4], 2, [0, 1, 2]),
        ([0, None, None], 1, [0, 1, 2]),
    ],
)
def test_what_comes_later_is_shown_later(tmp_path, times, stride, shown):
    results, clip = Results(), Clip()
    with Drawings(tmp_path, results, ".jpg", [clip], ["clip"], stride) as drawings:
        for number, time in enumerate(times):
            drawings.add(SimpleNamespace(recording=clip, time=time), None, number)
    assert results.shown == shown
    assert results.rate == 10 / stride
