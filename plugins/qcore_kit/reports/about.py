"""What a report says of files: their contracts, and how they were quantized."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from qcore.plugin import Contract, Host
from qcore_kit.describing import described, listed
from qcore_kit.reports import Block, Section, Table, Text

Rows = Mapping[str, str]
SHORT = 16
"""Digits of a hash that a page shows; the contract has all."""


def about(contract: Contract | Mapping[str, Contract]) -> list[Section]:
    """The sections on the contract and on the recipe.

    Args:
        contract: Of one file, or of several by their names; what they do not share then stands side by side.
    """
    given = contract if isinstance(contract, Mapping) else {"": contract}
    if not given:
        return []
    documents: list[Block] = [
        Text(_printed(each), fixed=True, title=f"{name or 'The contract'} as JSON", folded=True)
        for name, each in given.items()
    ]
    agreed = _tables({name: {"task": each.task, **described(each)} for name, each in given.items()})
    recipes = _tables({name: _recipe(each) for name, each in given.items()})
    return [
        Section("Contract", [*agreed, *documents], "What goes in and what comes out, as it travels inside the file."),
        Section("Recipe", recipes, "How the model was made, according to its contract."),
    ]


def inside(files: Iterable[str], plugins: Host) -> dict[str, Contract]:
    """The contracts of those files that hold one: exported ones, not checkpoints."""
    from qcore.plugin import open_file

    contracts: dict[str, Contract] = {}
    for file in files:
        opened = open_file(file, plugins)
        contract = opened.contract if opened.spec.suffix else None
        if contract is not None:
            contracts[file] = contract
    return contracts


def _printed(contract: Contract) -> str:
    """The JSON text, with lists of plain values on one line."""
    flat, between = re.compile(r"\[\n\s+([^\[\]{}]*?)\n\s+\]"), re.compile(r",\n\s+")
    return flat.sub(lambda found: f"[{between.sub(', ', found[1])}]", contract.to_json(indent=2))


def _recipe(contract: Contract) -> Rows:
    """Where a model came from and what was done to it."""
    provenance = contract.provenance
    quantization, calibration = provenance.get("quantization"), provenance.get("calibration", {})
    rows: dict[str, Any] = {
        "family": " ".join(str(provenance[key]) for key in ("family", "variant") if provenance.get(key))
    }
    if source := provenance.get("source"):
        rows["source"] = f"{source.get('file', '')}, sha256 {str(source.get('sha256', ''))[:SHORT]}"
    if quantization:
        rows |= {"quantizer": quantization.get("quantizer"), "profile": quantization.get("profile")}
        rows |= {key.replace("_", " "): value for key, value in quantization.get("recipe", {}).items()}
        rows["left float"] = quantization.get("left_float")
    else:
        rows["quantizer"] = "none: not quantized"
    if calibration:
        shape = " x ".join(map(str, calibration.get("shape", ())))
        digest = str(calibration.get("sha256", ""))[:SHORT]
        rows["calibration"] = f"{calibration.get('pictures', '?')} inputs of {shape}, sha256 {digest}"
    rows["tools"] = ", ".join(f"{name} {version}" for name, version in provenance.get("tools", {}).items())
    return {key: listed(value) for key, value in rows.items() if value not in (None, "", [], (), {})}


def _tables(rows: Mapping[str, Rows]) -> list[Block]:
    """What all files share as one table, the rest side by side."""
    keys = list(dict.fromkeys(key for each in rows.values() for key in each))
    shared = {key for key in keys if len({each.get(key) for each in rows.values()}) == 1}
    tables: list[Block] = []
    if shared:
        first = next(iter(rows.values()))
        title = "identical in all files" if len(rows) > 1 else ""
        tables.append(Table(("", ""), [(key, first[key]) for key in keys if key in shared], title))
    if apart := [key for key in keys if key not in shared]:
        tables.append(Table(("", *rows), [(key, *(each.get(key, "") for each in rows.values())) for key in apart]))
    return tables
