"""The verifier `mynet`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qcore.plugin import CheckFailed, Host, Model, Progress


class Mynet:
    """Compares the contracts before and after each converter of a route."""

    def check(
        self, step: Any, before: Model, after: Model, *, options: Mapping[str, Any], host: Host, progress: Progress
    ) -> None:
        """Raise CheckFailed where classes were lost."""
        if lost := [name for name in before.contract.classes if name not in after.contract.classes]:
            raise CheckFailed(f"converter {step.name} loses class {lost[0]}", hint="report it to its authors")
