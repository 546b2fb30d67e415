"""A float file and an INT8 file compared: the first step that fails, and why.

python where_it_differs.py float.onnx int8.onnx instances.json
"""

import sys

from qcore_plugins.verbs import compare


def main(reference, candidate, data):
    """Print the ladder; gives the name of the step that fails, or None."""
    found = compare(reference, candidate, data)
    for rung in found.rungs:
        print(f"{rung.verdict:<5} {rung.name:<17} {rung.summary}")
    if found.failed is None:
        return None
    print(f"first: {found.failed.name}; {found.cause.name}: {found.cause.text}" if found.cause else found.failed.name)
    return found.failed.name


if __name__ == "__main__":
    sys.exit(1 if main(*sys.argv[1:]) else 0)
