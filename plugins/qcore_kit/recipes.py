"""Recipes as files: TOML that people write and read, and the same document in the contract of what was made by it."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from qcore.plugin import (
    FileError,
    Form,
    Host,
    Labelled,
    Model,
    Quantizing,
    Recipe,
    Run,
    Spec,
    UsageError,
    format_for,
    meant,
    open_file,
    read_text,
    replacing,
    require,
    save_model,
)

VERSION: Literal[1] = 1
KEY = "made_by"
"""Of the recipe in the provenance of a contract."""
ALL: Literal["all"] = "all"
LOCAL = {"state", "calibrated"}
"""Options of quantizers that name files of this machine."""
_LABELS = ("images", "classes")
"""Options of evaluators that stand beside `file`; others stand in a table of their own."""


class _Part(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    pass


class _Quantizer(_Part):
    name: str
    calibration: str
    limit: int | Literal["all"] = 512
    seed: int = 0
    options: dict[str, Any] = {}


class _Backend(_Part):
    name: str
    options: dict[str, Any] = {}


class _Data(_Part):
    file: str
    images: str | None = None
    classes: dict[str, str] = {}
    options: dict[str, Any] = {}


class _Parameters(_Part):
    preprocess: dict[str, Any] = {}
    postprocess: dict[str, Any] = {}


class _Document(_Part):
    file: str
    recipe: Literal[1] = VERSION
    loader: str | None = None
    head: str | None = None
    precision: str | None = None
    profile: str | None = None
    protocol: str | None = None
    options: dict[str, Any] = {}
    preprocess: dict[str, Any] = {}
    quantizer: _Quantizer | None = None
    data: _Data | None = None
    backend: _Backend | None = None
    conversion: dict[str, Any] = {}
    parameters: _Parameters | None = None


def document(recipe: Recipe) -> dict[str, Any]:
    """A recipe as plain data; what is as it is by default is left out.

    Raises:
        UsageError: A part is an object that has no name.
    """
    wanted, deciding = recipe.quantizing, recipe.deciding
    fields = _Document(
        file=os.fspath(recipe.file),
        loader=_named(recipe.loader, "loader"),
        head=recipe.head,
        precision=recipe.precision,
        profile=recipe.profile,
        protocol=recipe.protocol,
        options=_plain(recipe.loader_options, "options"),
        preprocess=_plain(recipe.preprocess, "preprocess"),
        conversion=_plain(recipe.conversion, "conversion"),
    )
    if wanted:
        fields.quantizer = _Quantizer(
            _named(wanted.quantizer, "quantizer") or "",
            _path(wanted.calibration, "calibration"),
            ALL if wanted.limit is None else wanted.limit,
            wanted.seed,
            _plain(wanted.options, "quantizer.options"),
        )
    if deciding:
        options = dict(deciding.options)
        images = None if options.get("images") is None else _path(options["images"], "data.images")
        classes = dict(options.get("classes") or {})
        more = {name: value for name, value in options.items() if name not in _LABELS}
        fields.data = _Data(_path(deciding.data, "data.file"), images, classes, _plain(more, "data.options"))
    if recipe.backend is not None:
        options = _plain(recipe.backend_options, "backend.options")
        fields.backend = _Backend(_named(recipe.backend, "backend") or "", options)
    if recipe.parameters:
        fields.parameters = _Parameters(**{name: _plain(each, name) for name, each in recipe.parameters.items()})
    plain: dict[str, Any] = msgspec.to_builtins(fields)
    return {"recipe": VERSION, **plain}


def recipe_of(plain: Mapping[str, Any], where: str) -> Recipe:
    """The recipe that a document describes.

    Args:
        plain: As `document` gives it.
        where: It stands, for errors.

    Raises:
        FileError: A field is unknown, missing or of another type; names it.
    """
    try:
        fields = msgspec.convert(dict(plain), _Document)
    except msgspec.ValidationError as error:
        raise FileError(
            f"{where}: {_told(str(error))}",
            hint="qcore recipe FILE prints one that is right; docs/scripts.md tells of the keys",
        ) from error
    quantizer, data, backend = fields.quantizer, fields.data, fields.backend
    quantizing = quantizer and Quantizing(
        quantizer.name,
        quantizer.calibration,
        None if quantizer.limit == ALL else int(quantizer.limit),
        quantizer.seed,
        _tuples(quantizer.options),
    )
    parameters = msgspec.to_builtins(fields.parameters or _Parameters())
    return Recipe(
        Path(fields.file),
        loader=fields.loader,
        loader_options=_tuples(fields.options),
        preprocess=_tuples(fields.preprocess),
        quantizing=quantizing or None,
        deciding=_labelled(data) if data else None,
        backend=backend.name if backend else None,
        backend_options=_tuples(backend.options) if backend else {},
        profile=fields.profile,
        head=fields.head,
        precision=fields.precision,
        conversion=_tuples(fields.conversion),
        protocol=fields.protocol,
        parameters={name: _tuples(each) for name, each in parameters.items() if each},
    )


def _labelled(data: _Data) -> Labelled:
    given = {"images": data.images, "classes": data.classes or None, **_tuples(data.options)}
    return Labelled(data.file, {name: value for name, value in given.items() if value is not None})


def write(recipe: Recipe, path: str | os.PathLike[str]) -> Path:
    """Write a recipe as TOML.

    Raises:
        UsageError: A part is an object that has no name.
    """
    text = as_toml(document(recipe))
    with replacing(Path(path)) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def as_toml(plain: Mapping[str, Any]) -> str:
    """The text of a document."""
    import tomli_w

    return tomli_w.dumps(plain)


def read(path: str | os.PathLike[str], host: Host) -> Recipe:
    """The recipe in a TOML file, or the one that a model file was made by.

    Raises:
        FileError: There is none, or it is damaged.
    """
    file = require(path)
    if file.suffix != ".toml":
        contract = open_file(file, host).contract
        made_by = dict(contract.provenance).get(KEY) if contract else None
        if not isinstance(made_by, Mapping):
            raise FileError(f"{file}: holds no recipe", hint="files that qcore quantize and export write hold theirs")
        return recipe_of(made_by, str(file))
    try:
        plain = tomllib.loads(read_text(file))
    except tomllib.TOMLDecodeError as error:
        raise FileError(f"{file}: not TOML ({error})", hint="qcore recipe FILE prints one") from error
    return recipe_of(plain, str(file))


def made_by(recipe: Recipe, model: Model) -> Model:
    """The model with the recipe in its contract; as it is where a part of the recipe has no name."""
    try:
        fields = document(portable(recipe))
    except UsageError:
        return model
    provenance = {**model.contract.provenance, KEY: fields}
    return model.evolve(contract=replace(model.contract, provenance=provenance))


def portable(recipe: Recipe) -> Recipe:
    """Without what only this machine has: where a training keeps its state, what parts of a calibration saw."""
    wanted = recipe.quantizing
    if wanted is None or not set(wanted.options) & LOCAL:
        return recipe
    return with_options(recipe, {name: value for name, value in wanted.options.items() if name not in LOCAL})


def with_options(recipe: Recipe, options: Mapping[str, Any]) -> Recipe:
    """The same recipe with other options of its quantizer."""
    return (
        recipe if recipe.quantizing is None else replace(recipe, quantizing=replace(recipe.quantizing, options=options))
    )


def save(run: Run, folder: str | os.PathLike[str], *, to: str | Form | None = None) -> list[Path]:
    """As `Run.save`, with all files and the recipe in the contract of what is written."""
    model = made_by(run.recipe, run.model(to, verify=True))
    files: list[Path] = save_model(model, folder, run.recipe.file.stem, run.host)
    return files


def require_apart(source: Path, folder: str | os.PathLike[str], form: Form, host: Host) -> None:
    """Refuse a folder in which the file to write would replace the model it is made from, before any work.

    Args:
        source: The model.
        folder: Where the file goes, under the model's name.
        form: What is written.
        host: Where formats come from.

    Raises:
        UsageError: It would.
    """
    target = Path(folder) / f"{source.stem}{format_for(form, host).suffix}"
    if target.exists() and target.samefile(source):
        raise UsageError(f"{target} would be overwritten by what is made from it", hint="choose another -o DIR")


def _named(part: Any, what: str) -> str | None:
    if part is None or isinstance(part, str):
        return part
    if isinstance(part, Spec) and part.plugin:
        return part.qualified
    raise UsageError(f"{what} {part!r} is an object: a recipe file needs its name", hint="register it in a plugin")


def _path(value: Any, what: str) -> str:
    if isinstance(value, str | os.PathLike):
        return os.fspath(value)
    raise UsageError(
        f"{what} is a {type(value).__name__}: a recipe file needs a path", hint="write the inputs to files"
    )


def _plain(values: Mapping[str, Any], what: str) -> dict[str, Any]:
    try:
        return {str(name): msgspec.to_builtins(value) for name, value in values.items() if value is not None}
    except TypeError as error:
        raise UsageError(f"{what}: {error}, which a recipe file cannot hold", hint="use plain values") from error


def _tuples(value: Any) -> Any:
    """Lists as tuples: what scripts give for a size."""
    if isinstance(value, dict):
        return {name: _tuples(each) for name, each in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _told(error: str) -> str:
    """A validation error in the words of the file, with what may have been meant."""
    problem, _, place = error.partition(" - at `")
    field = place.removesuffix("`").removeprefix("$").lstrip(".")
    unknown = re.search(r"unknown field `(.*)`", problem)
    if unknown is None:
        return f"{field}: {problem[:1].lower()}{problem[1:]}" if field else problem[:1].lower() + problem[1:]
    parts = {"": _Document, "quantizer": _Quantizer, "backend": _Backend, "data": _Data, "parameters": _Parameters}
    name, known = unknown[1], parts.get(field, _Document).__struct_fields__
    return f"unknown key {f'{field}.' if field else ''}{name}{meant(name, known)}"


def relocated(recipe: Recipe, file: str | os.PathLike[str]) -> Recipe:
    """The same recipe for another model file."""
    return replace(recipe, file=Path(file))
