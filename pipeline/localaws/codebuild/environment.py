"""The environment variables of a build: little of the host's, all of CodeBuild's, and last what people ask for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

# What a build may know of the host: how to reach the network and the package indexes, and the language of messages.
_PASSED: Final = frozenset(
    {
        "LANG", "LANGUAGE", "TZ",
        "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
        "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "AWS_CA_BUNDLE",
        "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "NIX_SSL_CERT_FILE",
    }
)  # fmt: skip
_PASSED_PREFIXES: Final = ("LC_", "PIP_", "UV_", "npm_config_", "NPM_CONFIG_", "JSII_SILENCE_WARNING_")

# Settings of package clients that would lead a build's installations to the user's own places.
_NOT_PASSED: Final = frozenset(
    {
        "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_PYTHON", "PIP_SRC", "PIP_REQUIRE_VIRTUALENV",
        "UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_PROJECT_ENVIRONMENT", "UV_PROJECT", "UV_WORKING_DIRECTORY", "UV_TOOL_DIR",
        "UV_TOOL_BIN_DIR", "UV_PYTHON_INSTALL_DIR", "UV_PYTHON_BIN_DIR", "UV_BREAK_SYSTEM_PACKAGES",
        "NPM_CONFIG_PREFIX", "NPM_CONFIG_GLOBAL", "NPM_CONFIG_LOCATION", "NPM_CONFIG_LOCAL_PREFIX",
        "NPM_CONFIG_GLOBALCONFIG",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Host:
    """The machine that builds run on, as the local AWS's start describes it.

    Attributes:
        environment: The host's environment variables; a build gets an allowlist of them.
        docker_host: `DOCKER_HOST` for builds; "" when there is no engine.
        python: The interpreter that a build's own Python environment is made from,
        find_python: unless this finds the one of the version that its buildspec asks for.
        programs: Programs that CodeBuild's images have and this host has somewhere else than on its PATH (the AWS CLI).
        base_images: Gives the engine the images that sources start from, and says so (folder, say).
    """

    environment: Mapping[str, str]
    python: Path
    find_python: Callable[[str], str | None] = lambda _: None
    docker_host: str = ""
    programs: Sequence[Path] = field(default=())
    base_images: Callable[[Path, Callable[[str], None]], None] | None = None


@dataclass(frozen=True)
class Places:
    """The folders of one build. All but `caches` are its own."""

    root: Path
    caches: Path

    @property
    def home(self) -> Path:
        """What `~` is."""
        return self.root / "home"

    @property
    def python(self) -> Path:
        """The Python environment."""
        return self.root / "python"

    @property
    def npm(self) -> Path:
        """Where `npm install -g` installs."""
        return self.root / "npm"

    @property
    def programs(self) -> Path:
        """Links to `Host.programs`."""
        return self.root / "bin"

    @property
    def temporary(self) -> Path:
        """For temporary files."""
        return self.root / "tmp"

    @property
    def sources(self) -> Path:
        """The sources, a folder each."""
        return self.root / "src"

    @property
    def control(self) -> Path:
        """The shell's own files."""
        return self.root / "control"


def from_host(host: Host, places: Places) -> dict[str, str]:
    """The part of a build's environment that comes from the host and from the build's folders.

    Virtual environments on the host's PATH are left out: what a build needs it must install, as on AWS.
    """
    known = host.environment
    passed = {name: value for name, value in known.items() if _passes(name)}
    path = [entry for entry in known.get("PATH", "").split(":") if entry and not _is_virtual_environment(Path(entry))]
    own = [places.python / "bin", places.npm / "bin", places.programs]
    caches = {
        "XDG_CACHE_HOME": places.caches,
        "UV_CACHE_DIR": places.caches / "uv",
        "PIP_CACHE_DIR": places.caches / "pip",
        "npm_config_cache": places.caches / "npm",
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": places.caches / "jsii",  # unpacking aws-cdk-lib takes seconds
    }
    return {
        **{name: str(folder) for name, folder in caches.items()},
        **passed,
        "PATH": ":".join([*map(str, own), *path]),
        "HOME": str(places.home),
        "TMPDIR": str(places.temporary),
        "UV_PYTHON": str(places.python / "bin" / "python"),  # `uv pip install --system` means this one
        "npm_config_prefix": str(places.npm),
        "PYTHONUNBUFFERED": "1",  # lines of a step are seen when they are printed
        **({"DOCKER_HOST": host.docker_host} if host.docker_host else {}),
    }


def user_configuration(host: Host) -> dict[str, Path]:
    """Files of the user that package clients read below HOME, by their path there; builds get copies."""
    home = host.environment.get("HOME", "")
    names = (".config/pip/pip.conf", ".pip/pip.conf", ".config/uv/uv.toml", ".npmrc")
    return {name: Path(home) / name for name in names if home and (Path(home) / name).is_file()}


def _passes(name: str) -> bool:
    if name.upper() in _NOT_PASSED:
        return False
    return name in _PASSED or name.startswith(_PASSED_PREFIXES)


def _is_virtual_environment(programs: Path) -> bool:
    return (programs.parent / "pyvenv.cfg").is_file()
