"""Facts and figures as rows for people."""

from __future__ import annotations

from typing import Any

from qcore.plugin import Contract, Model


def facts(model: Model) -> dict[str, Any]:
    """What `qcore inspect` tells of a model."""
    contract = model.contract
    provenance = contract.provenance
    rows: dict[str, Any] = {
        "form": str(model.form),
        "task": contract.task,
        "family": provenance.get("family"),
        "variant": provenance.get("variant"),
        **described(contract),
    }
    if quantization := provenance.get("quantization"):
        rows["quantization"] = ", ".join(f"{key}={value}" for key, value in quantization.items())
    if calibration := provenance.get("calibration"):
        rows["calibration"] = ", ".join(f"{key}={value}" for key, value in calibration.items())
    notes = {key: value for key, value in model.notes.items() if key not in {"file", "variant", "classes"}}
    return rows | {key: value for key, value in notes.items() if key not in rows}


def described(contract: Contract) -> dict[str, str]:
    """Classes, inputs, outputs and both steps of a contract, one line each."""
    names = list(contract.classes)
    shown = ", ".join(names[:8]) + (f", ... ({len(names)})" if len(names) > 8 else f" ({len(names)})")
    facts = {"classes": shown}
    for tensor in contract.inputs:
        facts[f"input {tensor.name}"] = f"{tensor.dtype} {list(tensor.shape)} {tensor.layout or ''}".strip()
    for tensor in contract.outputs:
        facts[f"output {tensor.name}"] = f"{tensor.dtype} {list(tensor.shape)}" + (
            f" {tensor.stage}: {tensor.meaning}" if tensor.meaning else ""
        )
    for label, step in (("preprocess", contract.preprocess), ("postprocess", contract.postprocess)):
        facts[label] = f"{step.component} " + ", ".join(f"{key}={value}" for key, value in step.params.items())
    return facts


def listed(value: Any) -> str:
    """A value of a contract as text; an empty list says so."""
    if isinstance(value, dict):
        return ", ".join(f"{key}={each}" for key, each in value.items())
    return (", ".join(map(str, value)) or "none") if isinstance(value, list | tuple) else str(value)


def figures(said: dict[str, Any]) -> list[tuple[str, str]]:
    """What `qcore eval` prints; nested tables are left to `--json`, and parameters but those of the postprocessor."""
    rows = []
    for key, value in said.items():
        if isinstance(value, dict):
            rows += [(key, listed(value))] if key == "postprocess" else []
        elif isinstance(value, float):
            rows.append((key, f"{value:.4f}"))
        elif isinstance(value, list) and value:
            rows.append((key, " x ".join(map(str, value)) if key == "imgsz" else ", ".join(map(str, value))))
        elif value not in (None, "", []):
            rows.append((key, str(value)))
    return rows
