"""Which class of a model is which of labelled data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qcore.plugin import UsageError


def match_classes(model: Sequence[str], data: Sequence[str], said: Mapping[str, str]) -> dict[int, int]:
    """Index of the model's class -> index of the data's.

    Raises:
        UsageError: A name in `said` that is nowhere, or no class in common.
    """
    names = {name: index for index, name in enumerate(model)}
    there = {name: index for index, name in enumerate(data)}
    for own, other in said.items():
        if str(own) not in names or str(other) not in there:
            where, wanted, known = ("model", own, names) if str(own) not in names else ("data", other, there)
            listed = ", ".join(list(known)[:8]) + (", ..." if len(known) > 8 else "")
            raise UsageError(f"--classes {own}={other}: the {where} has no class {wanted!r}", hint=f"it has: {listed}")
    mapping = {index: there[name] for index, name in enumerate(model) if name in there}
    mapping.update({names[str(own)]: there[str(other)] for own, other in said.items()})
    if not mapping:
        ours, theirs = ", ".join(list(model)[:5]), ", ".join(list(data)[:5])
        raise UsageError(
            f"the model ({ours}) and the data ({theirs}) have no class in common",
            hint="--classes MODEL=DATA says which class is which",
        )
    return mapping
