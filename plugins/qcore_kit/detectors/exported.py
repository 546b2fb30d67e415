"""Contracts of exported files, as the conventions of a family say."""

from __future__ import annotations

from collections.abc import Sequence

from qcore.plugin import Contract, Host, LoaderSpec, Tensor, UsageError, called


def describe_exported(
    family: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor], *, names: Sequence[str] | None, plugins: Host
) -> Contract:
    """The contract of an exported file that follows the conventions of a family.

    Args:
        family: Name of the loader.
        inputs: Of the file.
        outputs: Of the file.
        names: Class names; None for those that the description makes up.
        plugins: Where loaders come from.

    Raises:
        UsageError: The loader describes no exported files.
        FileError: The tensors are not the family's, or the number of names is another.
    """
    spec = plugins.get(LoaderSpec, family)
    if spec.describes is None:
        known = ", ".join(other.name for other in plugins.specs(LoaderSpec) if other.describes is not None)
        raise UsageError(
            f"loader {spec.name} cannot describe exported files", hint=f"loaders that can: {known or 'none'}"
        )
    described: Contract = called(spec, spec.resolve(spec.describes), inputs, outputs, names=names, doing="describes")
    return described
