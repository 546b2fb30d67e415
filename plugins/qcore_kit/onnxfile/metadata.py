"""What several plugins do with ONNX models as files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore.plugin import KEY, Contract

if TYPE_CHECKING:
    import onnx


def with_contract(proto: onnx.ModelProto, contract: Contract) -> onnx.ModelProto:
    """A copy with the contract in its metadata, as it is written to files."""
    import onnx

    embedded = onnx.ModelProto()
    embedded.CopyFrom(proto)
    kept = [entry for entry in embedded.metadata_props if entry.key != KEY]
    del embedded.metadata_props[:]
    embedded.metadata_props.extend(kept)
    entry = embedded.metadata_props.add()
    entry.key, entry.value = KEY, contract.to_json()
    return embedded
