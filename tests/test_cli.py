import importlib
import subprocess
import sys

import pytest

from ncapps.cli import COMMANDS, main
from ncapps.errors import InputError


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_has_help_with_an_example(verb, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([verb, "--help"])
    assert stopped.value.code == 0
    out = capsys.readouterr().out
    assert f"example:\n  ncapps {verb} " in out
    assert "--json" in out


def test_help_lists_every_verb(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert all(verb in out for verb in COMMANDS)


@pytest.mark.parametrize("arguments", [[], ["fly"], ["fit"], ["predict", "a", "b", "--colour", "red"]])
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: ncapps" in capsys.readouterr().err


def test_bad_input_is_one_line_and_status_2(monkeypatch, capsys):
    def fail(args):
        raise InputError("the folder is empty; is the path right?")

    monkeypatch.setattr(importlib.import_module("ncapps.commands.predict"), "run", fail)
    assert main(["predict", "a", "b"]) == 2
    assert capsys.readouterr().err == "ncapps predict: the folder is empty; is the path right?\n"


def test_a_defect_is_not_dressed_up_as_bad_input(monkeypatch):
    def fail(args):
        raise KeyError("a defect")

    monkeypatch.setattr(importlib.import_module("ncapps.commands.predict"), "run", fail)
    with pytest.raises(KeyError):
        main(["predict", "a", "b"])


def test_help_and_version_load_neither_torch_nor_matplotlib():
    code = "import sys\nfrom ncapps.cli import main\ntry: main(['--version'])\nexcept SystemExit: pass\n"
    code += "assert not {'torch', 'matplotlib', 'faiss'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ncapps 0.")


def test_a_reader_that_goes_away_is_no_error():
    code = (
        "import sys\nfrom ncapps.cli import main\nimport ncapps.commands.remove_class as verb\n"
        "verb.run = lambda args: ({}, 'x' * 10**6)\nsys.exit(main(['remove-class', 'a', 'b']))"
    )
    running = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None
    running.stdout.close()
    assert running.stderr is not None
    assert running.stderr.read() == ""
    running.stderr.close()
    assert running.wait() == 0
