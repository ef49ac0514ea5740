"""What an environment is pinned to becomes its Airflow's, with fakes for the installation and real S3 and shell."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import PipelineError
from pipeline.localaws.mwaa.installation import Installation, Installations, Tell
from pipeline.localaws.mwaa.preparation import Preparation
from pipeline.process import CommandError
from tests.localaws.conftest import Serve
from tests.localaws.mwaa.world import archive


class FakeInstallations(Installations):
    """Remembers what it was asked to install; `broken-package` cannot be."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked: list[tuple[str, str]] = []

    def plain(self, version: str) -> Installation:
        return Installation(Path(version))

    def with_requirements(self, version: str, requirements: str, extra: str, tell: Tell) -> Installation:
        self.asked.append((requirements, extra))
        tell("Resolving")
        if "broken-package" in requirements:
            raise CommandError(["uv", "pip", "install"], 1, "no version of broken-package")
        return Installation(Path(version + "-with-requirements"))


class Prepared:
    """One preparation with what it told."""

    def __init__(self, s3: Any, home: Path) -> None:
        self.s3, self.home = s3, home
        self.bucket = "prepared-" + home.name.replace("_", "-").lower()[:40]
        s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        self.told: list[str] = []
        self.installations = FakeInstallations(home)
        self.preparation = Preparation(s3, self.installations, home, self._tell)

    def _tell(self, stream: str, lines: list[str]) -> None:
        self.told += [f"{stream}: {line}" for line in lines]

    def put(self, key: str, content: str | bytes) -> str:
        return str(self.s3.put_object(Bucket=self.bucket, Key=key, Body=content)["VersionId"])

    def prepare(self, **pinned: str) -> Any:
        environment = {"AirflowVersion": "3.3.1", "SourceBucketArn": f"arn:aws:s3:::{self.bucket}", **pinned}
        return self.preparation.prepare(environment, {"PATH": os.environ["PATH"], "AIRFLOW_HOME": str(self.home)})


@pytest.fixture
def prepared(serve: Serve, tmp_path: Path) -> Callable[[], Prepared]:
    return lambda: Prepared(serve().client("s3"), tmp_path / tmp_path.name)


def test_the_pinned_version_is_installed_not_the_newest(prepared: Callable[[], Prepared]) -> None:
    it = prepared()
    version = it.put("requirements.txt", "pinned-package\n")
    it.put("requirements.txt", "newest-package\n")
    it.prepare(RequirementsS3Path="requirements.txt", RequirementsS3ObjectVersion=version)
    assert it.installations.asked == [("pinned-package\n", "")]


def test_requirements_that_fail_are_told_and_airflow_comes_without_them(prepared: Callable[[], Prepared]) -> None:
    it = prepared()
    it.put("requirements.txt", "broken-package\n")
    made = it.prepare(RequirementsS3Path="requirements.txt")
    assert made.installation.folder == Path("3.3.1")
    assert any("no version of broken-package" in line for line in it.told)
    assert all(line.startswith("requirements_install: ") for line in it.told)


def test_wheels_in_the_plugins_are_found_where_mwaa_has_them(prepared: Callable[[], Prepared]) -> None:
    it = prepared()
    version = it.put("plugins.zip", archive({"mine.whl": "wheel"}))
    it.put("requirements.txt", "--find-links /usr/local/airflow/plugins\nmine\n")
    it.prepare(RequirementsS3Path="requirements.txt", PluginsS3Path="plugins.zip")
    [(asked, extra)] = it.installations.asked
    links = Path(asked.splitlines()[0].removeprefix("--find-links "))
    assert (links / "mine.whl").read_text() == "wheel"
    assert extra == version, "other wheels make another installation"


def test_plugins_take_effect_when_airflow_is_down(prepared: Callable[[], Prepared]) -> None:
    it = prepared()
    it.put("plugins.zip", archive({"operators/mine.py": "x = 1"}))
    it.prepare(PluginsS3Path="plugins.zip")
    assert not (it.home / "plugins").exists()
    it.preparation.adopt_plugins()
    assert (it.home / "plugins" / "operators" / "mine.py").read_text() == "x = 1"
    it.prepare()
    it.preparation.adopt_plugins()
    assert list((it.home / "plugins").iterdir()) == []


def test_an_empty_plugins_file_means_none_and_a_broken_one_is_an_error(prepared: Callable[[], Prepared]) -> None:
    it = prepared()
    it.put("plugins.zip", b"")
    it.prepare(PluginsS3Path="plugins.zip")
    it.put("plugins.zip", b"no archive")
    with pytest.raises(PipelineError, match="no ZIP file"):
        it.prepare(PluginsS3Path="plugins.zip")


def test_a_startup_script_exports_its_variables(prepared: Callable[[], Prepared]) -> None:
    it = prepared()
    it.put("startup.sh", 'export GREETING="good\nday"\nlocal_only=1\necho working in $PWD\nfalse\n')
    made = it.prepare(StartupScriptS3Path="startup.sh")
    assert made.startup == {"GREETING": "good\nday"}
    assert f"startup_script_execution: working in {it.home}" in it.told


def test_a_startup_script_that_exits_stops_airflows_start(prepared: Callable[[], Prepared]) -> None:
    it = prepared()
    it.put("startup.sh", "echo oh no\nexit 4\n")
    with pytest.raises(PipelineError, match="startup script"):
        it.prepare(StartupScriptS3Path="startup.sh")
    assert "startup_script_execution: oh no" in it.told


def test_the_same_pins_give_the_same_result_so_that_nothing_restarts(prepared: Callable[[], Prepared]) -> None:
    it = prepared()
    it.put("plugins.zip", archive({"a.py": ""}))
    it.put("startup.sh", "export A=1")
    pins = {"PluginsS3Path": "plugins.zip", "StartupScriptS3Path": "startup.sh"}
    assert it.prepare(**pins) == it.prepare(**pins)
