"""The command line, called in this process."""

import pytest

from qcore.cli import main


@pytest.fixture
def run(capsys):
    """Run a command; gives exit code, standard output and standard error."""

    def call(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call
