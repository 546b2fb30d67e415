"""Checks of what reads and writes files: loaders and formats."""

from __future__ import annotations

import os
import pickle
import random
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from qcore.contract import Contract
from qcore.errors import QcoreError
from qcore.host.specs import FormatSpec
from qcore.model import Model
from qcore.protocols import Format, Loader
from qcore.testing.conformance import Conformance, NeedsExample
from qcore.workflow.opening import load, open_file, recognise

WHOLE = 512
"""Up to so many bytes, a file is cut at every length."""
CUTS = 48
"""So many lengths of a larger one."""
FLIPS = 48
"""Files with one damaged byte."""
LARGE = 2**16
"""From so many bytes on, a quarter as many of both."""


class LoaderConformance(Conformance):
    """Checks of a loader; `file` is its example.

    Attributes:
        by_name: Whether it is used only where somebody names it; it then may recognise nothing.
        options: Settings to load with.
    """

    kind: ClassVar[str] = "loader"
    protocol: ClassVar[Any] = Loader
    by_name: ClassVar[bool] = False
    options: ClassVar[Mapping[str, Any]] = {}

    def file(self, folder: Path) -> Path:
        """A file that the loader reads, made in `folder` or anywhere; small, so that the checks are quick."""
        raise NeedsExample(f"override file(folder): a file that loader {self.component} reads")

    def test_it_recognises_its_file(self, tmp_path: Path) -> None:
        """`matches` says in one line what the file is."""
        opened = open_file(self.file(tmp_path), self.host)
        if opened.spec.name != self.spec.format:
            self.fail(
                f"its file is of format {opened.spec.name}, declared is {self.spec.format}", "correct LoaderSpec.format"
            )
        said = self.made().matches(opened.content)
        if said is None and self.by_name:
            return
        if not isinstance(said, str) or not said.strip() or "\n" in said:
            self.fail(f"matches gave {said!r} for its own file", "return what the file is, in one line")

    def test_the_model_is_what_was_declared(self, tmp_path: Path) -> None:
        """The model has the declared form, and a contract that can be written and read again."""
        model = self._loaded(self.file(tmp_path))
        if not self.spec.produces.accepts(model.form):
            self.fail(f"the model has the form {model.form}, declared is {self.spec.produces}", "correct one of them")
        require_contract(self, model.contract)

    def test_the_same_file_gives_the_same_contract(self, tmp_path: Path) -> None:
        """Loading is deterministic."""
        file = self.file(tmp_path)
        first, second = self._loaded(file).contract.to_json(), self._loaded(file).contract.to_json()
        if first != second:
            self.fail("two loads of one file give different contracts", "leave times, paths and set order out of it")

    def test_damaged_files_are_refused_by_name(self, tmp_path: Path) -> None:
        """A file that is cut or has a damaged byte is read or refused by name; the process survives it."""
        whole = self.file(tmp_path)
        file = tmp_path / f"damaged{whole.suffix}"
        for damage, content in damaged(whole.read_bytes()):
            file.write_bytes(content)
            self.refused(f"a file {damage}", partial(self._loaded, file), name=file.name)
            self.refused(f"a file {damage}", partial(self._alone, file))

    def _alone(self, file: Path) -> Model | None:
        """As `_loaded` does, without the host, which would take whatever is raised for a bad file."""
        spec = self.spec
        for format_ in self.host.specs(FormatSpec):
            if format_.name == spec.format and format_.create().sniff(file):
                content = format_.create().open(file)
                settings = spec.typed(spec.settings(self.options))
                model: Model = self.made().load(content, options=settings)
                return model
        return None

    def _loaded(self, file: Path) -> Model:
        self.made()
        return load(file, plugins=self.host, loader=self.component, options=self.options)


class FormatConformance(Conformance):
    """Checks of a format; `model` is its example, where it is written and not only read."""

    kind: ClassVar[str] = "format"
    protocol: ClassVar[Any] = Format

    def model(self, folder: Path) -> Model:
        """A small model that the format writes; `folder` is there for what making it needs."""
        raise NeedsExample(f"override model(folder): a small model that format {self.component} writes")

    def test_what_is_written_is_read_again(self, tmp_path: Path) -> None:
        """Written, recognised, opened: contract, form and the tensors' names are the same."""
        if not self.spec.suffix:
            return
        model = self.model(tmp_path)
        file = self._written(model, tmp_path / "out")[-1]
        if not self.made().sniff(file):
            self.fail("sniff does not recognise what write made", "tell the format by its first bytes")
        opened = open_file(file, self.host)
        if opened.spec.qualified != self.spec.qualified:
            self.fail(f"format {opened.spec.qualified} recognises its files", "make sniff of both precise")
        if opened.contract is None or opened.contract.to_dict() != model.contract.to_dict():
            self.fail("the contract read back is another than the one written", "keep its JSON text as it is")
        if not model.form.accepts(opened.form) and not opened.form.accepts(model.form):
            self.fail(f"the form read back is {opened.form}, written was {model.form}", "tell the form by the content")
        told = [[tensor.name for tensor in side] for side in opened.format.signature(opened.content)]
        meant = [[tensor.name for tensor in side] for side in (model.contract.inputs, model.contract.outputs)]
        if told != meant:
            self.fail(f"signature names {told}, the contract {meant}", "give inputs and outputs in the graph's order")

    def test_it_writes_only_where_it_was_told(self, tmp_path: Path) -> None:
        """All files lie in the folder that `write` was given, the main one last, with the declared suffix."""
        if not self.spec.suffix:
            return
        folder = tmp_path / "out"
        files = self._written(self.model(tmp_path), folder)
        there = sorted(path for path in folder.rglob("*") if path.is_file())
        if sorted(files) != there:
            self.fail(
                f"write returned {_names(files)}, the folder holds {_names(there)}", "return every file it writes"
            )
        if files[-1].suffix != self.spec.suffix:
            self.fail(f"the last file is {files[-1].name}", f"return the main file, with {self.spec.suffix}, last")

    def test_writing_twice_gives_the_same_bytes(self, tmp_path: Path) -> None:
        """The content depends on the model alone."""
        if not self.spec.suffix:
            return
        model = self.model(tmp_path)
        written = [
            [file.read_bytes() for file in self._written(model, tmp_path / folder)] for folder in ("one", "another")
        ]
        if written[0] != written[1]:
            self.fail("one model written twice gives different bytes", "leave times, paths and set order out")

    def test_cut_files_are_refused(self, tmp_path: Path) -> None:
        """A file that was cut is refused, or at least read without its contract."""
        if not self.spec.suffix:
            return
        file = self._written(self.model(tmp_path), tmp_path / "out")[-1]
        whole = file.read_bytes()
        contract = open_file(file, self.host).contract
        for length in lengths(len(whole)):
            file.write_bytes(whole[:length])
            read = self.refused(
                f"a file cut to {length} of {len(whole)} bytes", lambda: self._read(file), name=file.name
            )
            if read is not None and contract is not None and read == contract.to_dict() and whole[length:].strip():
                self.fail(
                    f"a file cut to {length} of {len(whole)} bytes is read as if it were whole",
                    "keep the length or a hash of the content in the file and compare it in open",
                )

    def test_damaged_bytes_are_refused_or_read(self, tmp_path: Path) -> None:
        """A damaged byte ends in an error that names the file, or in nothing."""
        if not self.spec.suffix:
            return
        file = self._written(self.model(tmp_path), tmp_path / "out")[-1]
        for damage, content in damaged(file.read_bytes()):
            file.write_bytes(content)
            self.refused(f"a file {damage}", lambda: self._read(file), name=file.name)

    def test_other_files_are_not_its_own(self, tmp_path: Path) -> None:
        """Text, zeros, random bytes and pickles are not taken for files of the format."""
        format_ = self.made()
        for name, content in _others():
            file = tmp_path / name
            file.write_bytes(content)
            if format_.sniff(file):
                self.fail(f"sniff takes {name} for its own", "look at the first bytes, not at the suffix")

    def test_nothing_in_a_file_is_run(self, tmp_path: Path) -> None:
        """A pickle with a command is not unpickled."""
        mark = tmp_path / "run"
        file = tmp_path / f"hostile{self.spec.suffix}"
        file.write_bytes(pickle.dumps(_Makes(str(mark))))
        format_ = self.made()
        for call in (format_.sniff, format_.open):
            with suppress(QcoreError):
                call(file)
        if mark.exists():
            self.fail("it ran a command that a file held", "never unpickle: read data only")

    def _written(self, model: Model, folder: Path) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        return [Path(file) for file in self.made().write(model, folder / f"model{self.spec.suffix}")]

    def _read(self, file: Path) -> dict[str, Any] | None:
        format_ = self.made()
        if format_.sniff(file):
            format_.open(file)  # without the host, which would take whatever is raised for a bad file
        spec, _ = recognise(file, self.host)
        if not isinstance(spec, FormatSpec) or spec.qualified != self.spec.qualified:
            return None
        opened = open_file(file, self.host)
        contract, _ = opened.contract, opened.form
        return None if contract is None else contract.to_dict()


def require_contract(check: Conformance, contract: Any) -> None:
    """A contract that is complete and survives being written; AssertionError otherwise."""
    if not isinstance(contract, Contract):
        check.fail(f"the contract is {contract!r}", "make a qcore.plugin.Contract")
    again = Contract.from_json(contract.to_json())
    if again.to_dict() != contract.to_dict():
        check.fail("the contract is another after being written and read", "keep plain JSON values in it")
    if not contract.inputs or not contract.outputs:
        check.fail("the contract has no inputs or no outputs", "name the tensors of the graph")
    if len(set(contract.classes)) < len(contract.classes):
        check.fail("two classes have one name", "make class names unique")


def lengths(size: int) -> list[int]:
    """Lengths to cut a file of `size` bytes at: every one of a short file, else some near the ends and between."""
    if size <= WHOLE:
        return list(range(1, size))
    near, cuts = range(1, 9), CUTS if size < LARGE else CUTS // 4
    return sorted({*near, *(size - length for length in near), *(size * part // cuts for part in range(1, cuts))})


def damaged(whole: bytes) -> Iterator[tuple[str, bytes]]:
    """(What was done, content) of damaged copies; always the same ones."""
    for length in lengths(len(whole)):
        yield f"cut to {length} of {len(whole)} bytes", whole[:length]
    chance = random.Random(0)  # noqa: S311 - no secret
    for _ in range(FLIPS if len(whole) < LARGE else FLIPS // 4):
        place = chance.randrange(len(whole))
        yield f"with byte {place} damaged", whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]


def _names(files: Any) -> str:
    return ", ".join(file.name for file in files) or "nothing"


def _others() -> list[tuple[str, bytes]]:
    return [
        ("text", b"a line of text\n"),
        ("zeros", bytes(4096)),
        ("random", random.Random(0).randbytes(4096)),  # noqa: S311 - no secret
        ("pickle", pickle.dumps({"a": [1, 2, 3]})),
        ("json", b'{"a": [1, 2, 3]}'),
    ]


class _Makes:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (self.path,)
