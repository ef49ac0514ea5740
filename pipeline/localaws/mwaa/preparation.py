"""What an environment's Airflow is made of, fetched by pinned version and made ready before anything is stopped."""

import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Timer
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.errors import PipelineError
from pipeline.localaws.mwaa.declaration import bucket_of
from pipeline.localaws.mwaa.installation import Installation, Installations, asks_for_something
from pipeline.process import CommandError, stream

STARTUP_SECONDS: Final = 300.0  # MWAA user guide, using-startup-script
# Where MWAA's containers have what we keep in the environment's own folder.
MWAA_HOME: Final = "/usr/local/airflow"
# Shows the variables before and after the script: what it exported is the difference.
_RUN_SCRIPT: Final = 'env -0 > "$2"; source "$1"; env -0 > "$3"'

# MWAA's own words, by which a deploy knows it (amazon-mwaa-docker-images, user_requirements.py).
_PIP_FAILED: Final = (
    "ERROR: pip installation exited with a non-zero error code. Airflow starts without requirements.txt."
)

Tell = Callable[[str, list[str]], None]  # log stream, lines


@dataclass(frozen=True)
class Prepared:
    """What an Airflow runs with. When it is equal for two declarations, nothing has to be restarted.

    Attributes:
        installation: Airflow with the requirements, or without them when pip failed.
        plugins: S3 version of plugins.zip; "" for none.
        startup: The variables that the startup script exported.
    """

    installation: Installation
    plugins: str
    startup: Mapping[str, str]


class Preparation:
    """Prepares one environment.

    Args:
        s3: An S3 client.
        installations: Where Airflow is installed.
        home: AIRFLOW_HOME of the environment.
        tell: Takes lines for a log stream, `requirements_install` or `startup_script_execution`.
    """

    def __init__(self, s3: Any, installations: Installations, home: Path, tell: Tell) -> None:
        self._s3 = s3
        self._installations = installations
        self._home = home
        self._tell = tell
        self._interrupted = Event()

    def interrupt(self) -> None:
        """End a startup script that runs; the server stops."""
        self._interrupted.set()

    @property
    def staged_plugins(self) -> Path:
        """Plugins unpacked, to become Airflow's with its next start."""
        return self._home / "plugins.staged"

    def prepare(self, environment: Mapping[str, Any], variables: Mapping[str, str]) -> Prepared:
        """Fetch, unpack, install, run the startup script.

        Args:
            environment: As the API describes it.
            variables: What the startup script sees.

        Raises:
            PipelineError: Something is missing or broken that MWAA, too, fails for. Requirements that pip cannot
                install are none: they are logged, and Airflow comes up without them.
        """
        self._home.mkdir(parents=True, exist_ok=True)
        plugins = self._stage_plugins(environment)
        installation = self._install(environment, plugins)
        return Prepared(installation, plugins, self._run_startup_script(environment, variables))

    def adopt_plugins(self) -> None:
        """Let the staged plugins be Airflow's; it must not run."""
        plugins = self._home / "plugins"
        shutil.rmtree(plugins, ignore_errors=True)
        if self.staged_plugins.is_dir():
            self.staged_plugins.rename(plugins)
        plugins.mkdir(parents=True, exist_ok=True)

    def _install(self, environment: Mapping[str, Any], plugins: str) -> Installation:
        version = str(environment["AirflowVersion"])
        fetched = self._fetch(environment, "RequirementsS3Path", "RequirementsS3ObjectVersion")
        if fetched is None:
            return self._installations.plain(version)
        text = fetched[0].decode("utf-8", errors="replace")
        (self._home / "requirements.txt").write_text(text, encoding="utf-8")
        if not asks_for_something(text):
            self._requirements_say("requirements.txt asks for nothing.")
            return self._installations.plain(version)
        local = text.replace(MWAA_HOME, str(self._home))
        if local != text:  # wheels or constraints of plugins.zip: they must be there to be installed
            local = local.replace(f"{self._home}/plugins", str(self.staged_plugins))
        self._requirements_say("Installing requirements.txt under the constraints of Airflow " + version)
        try:
            found = self._installations.with_requirements(
                version, local, plugins if local != text else "", self._requirements_say
            )
        except CommandError as error:
            self._requirements_say(error.output or str(error), _PIP_FAILED)
            return self._installations.plain(version)
        self._requirements_say("Requirements installed.")
        return found

    def _requirements_say(self, *lines: str) -> None:
        self._tell("requirements_install", [part for line in lines for part in line.splitlines()])

    def _stage_plugins(self, environment: Mapping[str, Any]) -> str:
        shutil.rmtree(self.staged_plugins, ignore_errors=True)
        fetched = self._fetch(environment, "PluginsS3Path", "PluginsS3ObjectVersion")
        if fetched is None:
            return ""
        content, version = fetched
        archive = self._home / "plugins.zip"
        archive.write_bytes(content)
        if not content:
            return version  # MWAA cannot forget plugins; an empty file is its way of having none
        try:
            with zipfile.ZipFile(archive) as opened:
                opened.extractall(self.staged_plugins)
        except zipfile.BadZipFile as error:
            raise PipelineError(
                f"plugins.zip is no ZIP file: {error}", where=str(environment["PluginsS3Path"])
            ) from None
        return version

    def _run_startup_script(self, environment: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, str]:
        fetched = self._fetch(environment, "StartupScriptS3Path", "StartupScriptS3ObjectVersion")
        if fetched is None or not fetched[0].strip():
            return {}
        script, before, after = (self._home / name for name in ("startup.sh", ".env.before", ".env.after"))
        script.write_bytes(fetched[0])
        for file in (before, after):
            file.unlink(missing_ok=True)
        lines: list[str] = []
        late = self._interrupted
        clock = Timer(STARTUP_SECONDS, late.set)
        clock.daemon = True
        clock.start()
        try:
            command = ["bash", "-c", _RUN_SCRIPT, "startup", str(script), str(before), str(after)]
            stream(command, lines.append, cwd=self._home, env=variables, stop=late)
            exported = _exported(before.read_bytes(), after.read_bytes())
        except (PipelineError, FileNotFoundError) as error:
            if late.is_set():
                why = f"the startup script did not end within {STARTUP_SECONDS:g} s"
            elif isinstance(error, CommandError):
                why = f"the startup script ended Airflow's start with code {error.code}"
            else:
                why = "the startup script left before its variables could be read: it must not call exit"
            self._tell("startup_script_execution", [*lines, f"ERROR: {why}"])
            raise PipelineError(why, where=str(environment["StartupScriptS3Path"])) from None
        finally:
            clock.cancel()
            for file in (before, after):
                file.unlink(missing_ok=True)
        self._tell("startup_script_execution", [*lines, f"It exported: {', '.join(sorted(exported)) or 'nothing'}"])
        return exported

    def _fetch(self, environment: Mapping[str, Any], path: str, version: str) -> tuple[bytes, str] | None:
        """Content and version of an object the environment is pinned to; None when it is pinned to none."""
        key = environment.get(path)
        if not key:
            return None
        pinned = {"VersionId": environment[version]} if environment.get(version) else {}
        bucket = bucket_of(environment)
        try:
            answer = self._s3.get_object(Bucket=bucket, Key=key, **pinned)
            return answer["Body"].read(), str(answer.get("VersionId") or answer["ETag"])
        except (ClientError, BotoCoreError) as error:
            raise PipelineError(f"{key} cannot be read from {bucket}: {error}", where=path) from None


def _exported(before: bytes, after: bytes) -> dict[str, str]:
    """The variables a script set, from `env -0` before and after it."""
    former = set(before.split(b"\0"))
    pairs = (entry.decode(errors="replace").partition("=") for entry in after.split(b"\0") if entry not in former)
    return {name: value for name, _, value in pairs if name and name not in ("_", "SHLVL", "PWD", "OLDPWD")}
