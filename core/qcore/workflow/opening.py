"""From a file to a model: the format is told by the content, the loader by what the format finds inside."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qcore.contract import Contract
from qcore.errors import AssumptionWarning, FileError, PluginError, UsageError
from qcore.files import publish, require
from qcore.forms import Form
from qcore.host.choice import LEFT_OUT, bundled, only, own_first
from qcore.host.plugins import Host
from qcore.host.specs import FormatSpec, LoaderSpec
from qcore.model import Model
from qcore.protocols import Format, HasAdvice, HasPrepared
from qcore.workflow.sessions import declared


@dataclass(frozen=True)
class Opened:
    """A file whose format is known and whose content has been read once."""

    path: Path
    spec: FormatSpec
    format: Format
    content: Any

    @property
    def form(self) -> Form:
        """What the content is technically."""
        with _naming(self.path):
            return self.format.form(self.content)

    @property
    def contract(self) -> Contract | None:
        """The contract inside, if any."""
        with _naming(self.path):
            return self.format.contract(self.content)


def recognise(path: str | os.PathLike[str], plugins: Host) -> tuple[FormatSpec, Format]:
    """The format of a file, by its content.

    FileError where it is absent, empty, or of no known format; MissingDependency where what reads it is not installed.
    """
    file = require(path)
    formats = list(_formats(plugins))
    matching = own_first(formats, lambda entry: bundled(entry[0]), lambda entry: entry[1].sniff(file))
    if len(matching) > 1:
        suffixed = [entry for entry in matching if entry[0].suffix == file.suffix]
        matching = suffixed if len(suffixed) == 1 else matching
    if not matching:
        raise FileError(
            f"{file}: not a model file of a known format ({', '.join(spec.name for spec, _ in formats) or 'none'})",
            hint="check that the file is complete; qcore list-plugins shows the formats",
        )
    if len(matching) > 1:
        raise FileError(
            f"{file}: several formats match: {', '.join(spec.qualified for spec, _ in matching)}", hint=LEFT_OUT
        )
    matching[0][0].load()
    return matching[0]


def _formats(plugins: Host) -> Iterator[tuple[FormatSpec, Format]]:
    """All formats whose code can be imported; a broken one must not keep the others from their files."""
    for spec in plugins.specs(FormatSpec):
        try:
            yield spec, spec.create(ready=False)
        except PluginError as error:
            logging.getLogger("qcore").warning("%s", error.message)


def open_file(path: str | os.PathLike[str], plugins: Host) -> Opened:
    """Recognise and open a file."""
    spec, format_ = recognise(path, plugins)
    with _naming(Path(path)):
        return Opened(Path(path), spec, format_, format_.open(Path(path)))


def load(
    path: str | os.PathLike[str], *, plugins: Host, loader: Any = None, options: Mapping[str, Any] | None = None
) -> Model:
    """The model in a file, with its contract; arguments as of `qcore.load`.

    A file that holds a contract needs no loader. Any other is offered to the loaders of its format.

    Raises:
        FileError: The file is damaged, or nothing recognises what is inside.
        UsageError: Options given for a file that carries its own contract, or several loaders match.
    """
    options = dict(options or {})
    opened = open_file(path, plugins)
    if loader is None and (contract := opened.contract):
        if options:
            raise UsageError(
                f"{path}: cannot change {', '.join(sorted(options))} of an exported file",
                hint="export the checkpoint again with these options",
            )
        return Model(opened.form, prepared(opened), contract, {"file": str(path)})
    spec = choose_loader(opened, plugins, loader)
    known = {option.name for option in spec.options}
    given = {name: value for name, value in options.items() if value is not None or name in known}
    model = loaded(opened, spec, spec.settings(given))
    if "assumed" in model.notes:
        warnings.warn(f"{path}: assumed: {model.notes['assumed']}", AssumptionWarning, stacklevel=2)
    return model.evolve(notes={"file": str(path), "loader": spec.name, **model.notes})


def loaded(opened: Opened, spec: LoaderSpec, settings: Mapping[str, Any]) -> Model:
    """What a loader makes of a file; FileError, which names it, where it is not what the loader reads."""
    with _naming(opened.path):
        model = spec.create().load(opened.content, options=spec.typed(settings))
        return declared(spec, model, Form(spec.produces.format))  # the rest is the file's to say


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors about a file that name it; what else a plugin raises while it reads a file says that the file is bad."""
    try:
        yield
    except PluginError as error:
        who, broke, _ = error.message.partition(" failed in ")
        if not broke:
            raise
        hint = "copy or export it again; --debug shows where it failed"
        raise FileError(f"{path}: {who} cannot read it: damaged, or of a kind it does not know", hint=hint) from error
    except FileError as error:
        if str(path) in error.message:
            raise
        raise FileError(f"{path}: {error.message}", hint=error.hint) from error


def prepared(opened: Opened) -> Any:
    """The content of a file as what works on models takes it; see `protocols.HasPrepared`."""
    with _naming(opened.path):
        return opened.format.prepared(opened.content) if isinstance(opened.format, HasPrepared) else opened.content


def choose_loader(opened: Opened, plugins: Host, loader: Any = None) -> LoaderSpec:
    """The loader for an opened file: the one asked for, or the one that recognises the content.

    FileError where none does; UsageError where more than one does, or the one asked for reads another format.
    """
    if loader is not None:
        spec = plugins.get(LoaderSpec, loader)
        if spec.format != opened.spec.name:
            raise UsageError(
                f"{opened.path} is a {opened.spec.name} file, loader {spec.name} reads {spec.format}",
                hint=f"qcore inspect {opened.path}",
            )
        return spec
    candidates = [spec for spec in plugins.specs(LoaderSpec) if spec.format == opened.spec.name]
    installed = [spec for spec in candidates if not spec.problems()]
    matching = own_first(installed, bundled, lambda spec: spec.create().matches(opened.content))
    if chosen := only(matching, what=f"recognise {opened.path}", hint="choose one with --loader NAME"):
        return chosen
    if missing := [spec for spec in candidates if spec.problems()]:
        missing[0].load()
    if isinstance(opened.format, HasAdvice):
        raise opened.format.unrecognised(opened, installed)
    names = ", ".join(sorted(spec.name for spec in candidates)) or "none"
    raise FileError(
        f"{opened.path}: no loader recognises this {opened.spec.name} file (installed loaders: {names})",
        hint="qcore list-plugins shows the loaders; a plugin can add one",
    )


def format_for(form: Form, plugins: Host) -> FormatSpec:
    """The format that writes models of a form.

    Raises:
        UsageError: No plugin writes it.
    """
    writing = [spec for spec in plugins.specs(FormatSpec) if spec.suffix]
    spec = only([spec for spec in writing if spec.name == form.format], what=f"write {form.format}")
    if spec is None:
        names = ", ".join(sorted(spec.name for spec in writing))
        raise UsageError(f"unknown output format {form.format!r}", hint=f"supported formats: {names}")
    return spec


def save(model: Model, directory: str | os.PathLike[str], stem: str, plugins: Host) -> list[Path]:
    """Write a model and its side files into a directory, all or nothing; gives them, the main one last.

    Raises:
        FileError: The directory cannot be written to.
        UsageError: The result would overwrite the file that the model came from.
    """
    spec = format_for(model.form, plugins)
    target = Path(directory) / f"{stem}{spec.suffix}"
    source = model.notes.get("file")
    if source and target.exists() and target.resolve() == Path(source).resolve():
        raise UsageError(f"{target} would be overwritten by what is made from it", hint="choose another -o DIR")
    format_: Format = spec.create()
    return publish(Path(directory), lambda staging: format_.write(model, staging / target.name))
