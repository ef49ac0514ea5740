"""The command as a build has it: without what only the local AWS needs."""

import subprocess
import sys

WITHOUT_MOTO = "import sys; sys.modules['moto'] = None; from pipeline.cli import main; main()"


def run_without_moto(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WITHOUT_MOTO, *arguments], capture_output=True, text=True, check=False)


def test_help_lists_every_command_and_says_which_is_not_installed() -> None:
    done = run_without_moto("--help")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "local Not installed here: needs moto" in said
    assert "sync " in said


def test_a_command_that_is_not_installed_says_how_to_get_it() -> None:
    done = run_without_moto("local", "up", "--port", "1")
    assert done.returncode == 1
    assert "`pipeline local` needs the package moto, which is not installed here" in " ".join(done.stderr.split())
    assert "make setup" in done.stderr


def test_python_m_pipeline_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "sync", "--nonsense"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: pipeline sync")
