from pathlib import Path

from pipeline.localaws.codebuild.environment import Host, Places, from_host, user_configuration
from pipeline.localaws.codebuild.variables import SecretReference, secret_reference

PLACES = Places(Path("/build"), Path("/caches"))


def environment(**host: str) -> dict[str, str]:
    return from_host(Host(host, Path("/usr/bin/python3")), PLACES)


def test_of_the_hosts_variables_only_the_allowlist_passes() -> None:
    given = {
        "LANG": "C.UTF-8", "LC_ALL": "C", "https_proxy": "http://p", "SSL_CERT_FILE": "/c", "PIP_INDEX_URL": "http://i",
        "UV_INDEX": "x", "npm_config_registry": "http://r", "JSII_SILENCE_WARNING_X": "1",
    }  # fmt: skip
    secret = {"AWS_SECRET_ACCESS_KEY": "s", "AWS_PROFILE": "p", "GITHUB_TOKEN": "t", "PYTHONPATH": "/x", "USER": "me"}
    passed = environment(**given, **secret)
    assert given.items() <= passed.items()
    assert not secret.keys() & passed.keys()


def test_settings_that_lead_out_of_the_build_do_not_pass() -> None:
    outside = {"PIP_TARGET": "/u", "PIP_USER": "1", "UV_TOOL_DIR": "/u", "UV_PROJECT_ENVIRONMENT": "/u"}
    passed = environment(**outside, UV_PYTHON="/u", npm_config_prefix="/u", NPM_CONFIG_PREFIX="/u", HOME="/u")
    assert "/u" not in passed.values()
    assert passed["npm_config_prefix"] == "/build/npm"
    assert passed["HOME"] == "/build/home"


def test_the_builds_own_programs_come_first_and_virtual_environments_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    path = environment(PATH=f"{tmp_path}/venv/bin:/usr/local/bin:/usr/bin")["PATH"]
    assert path == "/build/python/bin:/build/npm/bin:/build/bin:/usr/local/bin:/usr/bin"


def test_package_caches_are_shared_unless_the_host_says_where_they_are() -> None:
    assert environment()["UV_CACHE_DIR"] == "/caches/uv"
    assert environment(UV_CACHE_DIR="/mine", PIP_CACHE_DIR="/mine2")["UV_CACHE_DIR"] == "/mine"


def test_docker_is_where_the_host_says_or_nowhere() -> None:
    assert "DOCKER_HOST" not in environment(DOCKER_HOST="tcp://users-own")
    host = Host({}, Path("/p"), docker_host="unix:///d.sock")
    assert from_host(host, PLACES)["DOCKER_HOST"] == "unix:///d.sock"


def test_the_users_package_settings_are_known_by_their_place(tmp_path: Path) -> None:
    (tmp_path / ".config" / "pip").mkdir(parents=True)
    (tmp_path / ".config" / "pip" / "pip.conf").touch()
    (tmp_path / ".netrc").touch()
    assert user_configuration(Host({"HOME": str(tmp_path)}, Path("/p"))) == {
        ".config/pip/pip.conf": tmp_path / ".config" / "pip" / "pip.conf"
    }
    assert user_configuration(Host({}, Path("/p"))) == {}


def test_a_secret_is_named_by_id_or_arn_with_key_stage_and_version() -> None:
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf"
    assert secret_reference("db") == SecretReference("db")
    assert secret_reference("db:password") == SecretReference("db", "password")
    assert secret_reference("db:password:AWSCURRENT:v1") == SecretReference("db", "password", "AWSCURRENT", "v1")
    assert secret_reference(arn) == SecretReference(arn)
    assert secret_reference(f"{arn}:password::v1") == SecretReference(arn, "password", "", "v1")
