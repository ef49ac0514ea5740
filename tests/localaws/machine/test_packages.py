"""Which Debian packages are missing."""

from pipeline.localaws.machine.packages import NEEDED, command, install, missing


def test_nothing_is_missing_on_a_machine_that_has_all() -> None:
    assert missing(lambda _: True, engine_runs=False, apparmor=True) == []


def test_a_bare_machine_needs_all() -> None:
    assert missing(lambda _: False, engine_runs=False, apparmor=False) == list(NEEDED)


def test_where_an_engine_runs_none_is_installed() -> None:
    names = {package.name for package in missing(lambda _: False, engine_runs=True, apparmor=True)}
    assert names == {"git", "docker-registry", "mmdebstrap"}


def test_a_kernel_with_apparmor_needs_its_parser() -> None:
    found = missing(lambda program: program != "apparmor_parser", engine_runs=False, apparmor=True)
    assert [package.name for package in found] == ["apparmor"]


def test_the_command_names_exactly_what_is_missing() -> None:
    assert command(NEEDED[:2])[-2:] == ["git", "docker-registry"]


def test_nothing_is_said_when_nothing_is_missing() -> None:
    said: list[str] = []
    install([], said.append)
    assert said == []
