"""The completion of arguments, asked for as a shell does it."""

import shutil
import subprocess
import sys

import pytest

pytest.importorskip("argcomplete")

ASKED = """
eval "$(qcore completion bash)"
COMP_LINE="$1" COMP_POINT=${#1} COMP_TYPE=9 COMP_KEY=9
read -ra COMP_WORDS <<< "$1"
_python_argcomplete qcore 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def completed(tmp_path_factory):
    """What bash offers for a line that is not finished."""
    bash = shutil.which("bash")
    if not bash:
        pytest.skip("no bash here")
    folder = tmp_path_factory.mktemp("bin")
    script = folder / "qcore"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m qcore "$@"\n')
    script.chmod(0o755)
    (folder / "street.jpg").touch()

    def call(line):
        done = subprocess.run(
            [bash, "--norc", "-c", f'PATH={folder}:$PATH\n{ASKED}', "bash", line],
            capture_output=True, text=True, check=True, cwd=folder,
        )  # fmt: skip
        return [word.strip() for word in done.stdout.splitlines() if word.strip()]

    return call


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("qcore quan", {"quantize"}),
        ("qcore predict --resu", {"--resume"}),
        ("qcore predict model.onnx --backend openv", {"openvino"}),
        ("qcore quantize model.pt --quantizer n", {"nncf"}),
        ("qcore list-plugins --kind prep", {"preprocessor"}),
        ("qcore predict model.onnx --format yolo-", {"yolo-labels"}),
        ("qcore contract att", {"attach"}),
        ("qcore predict model.onnx stre", {"street.jpg"}),
        ("qcore nonsense --", set()),
    ],
)
def test_a_shell_is_offered_what_fits(completed, line, offered):
    assert set(completed(line)) == offered
