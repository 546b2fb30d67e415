"""What an exported file without a contract means: its head, recognised or stated, and what the file says of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from qcore.plugin import Contract, FileError, QcoreError
from qcore_kit.classes.reading import class_names
from qcore_kit.classes.text import from_file
from qcore_kit.detectors import families, sanity
from qcore_kit.detectors.metadata import NAMES_HINT, Said
from qcore_kit.detectors.network import Network
from qcore_kit.detectors.recognition import Head, recognise


def describe(network: Network, *, options: Mapping[str, Any], said: Said) -> tuple[Contract, dict[str, str]]:
    """The contract, and what was assumed.

    Args:
        network: The exported network, with fixed sizes.
        options: `family` and `names` (a file, see `classes.text.from_file`), either may be None.
        said: What the file says of itself; names that are given replace its own.

    Raises:
        FileError: The head is none that qcore reads, or not that of the stated family; its boxes or confidences for a
            test picture are no detector's; the number of names is another.
        UsageError: The family is open.
    """
    given = from_file(options["names"]) if options.get("names") else list(said.names)
    family = options.get("family")
    if family:
        seen = _seen(network, given)
        made = families.stated(family, network, given, seen)
        hint = f"omit family={family}: the outputs are read as {seen.family}" if seen else "state another family"
    else:
        seen = recognise(network, named=len(given) or None)
        made = families.described(seen, network, _fitting(given, seen, options.get("names") or said.source))
        family = seen.family
        hint = "state another family with --loader-option family=NAME"
    made = families.fed(made, said.preprocess, said.postprocess)
    made = replace(made, provenance={**made.provenance, "family": family, "variant": "exported elsewhere"})
    made, pixels = _plausible(made, family, network, hint)
    return made, {"assumed": _assumed(family, pixels, seen, said, given)}


def _plausible(made: Contract, family: str, network: Network, hint: str) -> tuple[Contract, str]:
    """The contract, with the family's other pixels where only those give plausible boxes, and what its pixels are."""
    convention = families.CONVENTIONS.get(family)
    told = convention.told if convention else f"as {family}'s"
    try:
        sanity.check(made, network, hint=hint)
    except FileError:
        if convention is None or convention.otherwise is None:
            raise
        changes, told = convention.otherwise
        other = families.fed(made, changes, {})
        sanity.check(other, network, hint=hint)
        return other, told
    return made, told


def _seen(network: Network, names: Sequence[str]) -> Head | None:
    """What the network would be taken for; None where that is open, so that what is stated is tried.

    Raises:
        FileError: As in `recognise`: what is certainly something else is not what somebody states.
    """
    try:
        return recognise(network, named=len(names) or None)
    except FileError:
        raise
    except QcoreError:
        return None


def _fitting(names: Sequence[str], head: Head, source: str) -> Sequence[str]:
    return class_names(list(names) or None, source, count=head.classes, hint=NAMES_HINT)


def _assumed(family: str, pixels: str, head: Head | None, said: Said, names: Sequence[str]) -> str:
    """What nobody has said and somebody should look at."""
    title = families.CONVENTIONS[family].title if family in families.CONVENTIONS else family
    told = [f"outputs as of {title}" + (f" ({head.why})" if head else "")]
    if said.complete:
        told.append(f"preprocessing and class names as {said.by} writes them")
    else:
        told.append(f"preprocessing {pixels}, which --preprocess changes")
    if not names:
        told.append(f"class names are numbers, {NAMES_HINT}")
    return "; ".join(told)
