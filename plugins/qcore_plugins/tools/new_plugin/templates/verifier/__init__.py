"""A verifier: no converter may lose a class."""

from collections.abc import Iterator

from qcore.plugin import VerifierSpec, hookimpl

qcore_api = "1"


@hookimpl
def qcore_verifiers() -> Iterator[VerifierSpec]:
    """The verifier `mynet`."""
    yield VerifierSpec(name="mynet", summary="Classes stay", factory="qcore_mynet.component:Mynet")
