"""What converters make is run beside what they were given, before anything is written."""

from collections.abc import Iterator

from qcore.plugin import VerifierSpec, hookimpl

qcore_api = "1"


@hookimpl
def qcore_verifiers() -> Iterator[VerifierSpec]:
    """The verifier `example`."""
    yield VerifierSpec(
        name="example",
        summary="both on an input that is made up, each on a runtime that is installed",
        factory="qcore_plugins.tools.verify.verifier:ExampleVerifier",
    )
