"""Git over HTTP, by git's own `http-backend`; a push becomes an event."""

import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterable
from typing import IO, Any

from werkzeug.wsgi import get_input_stream

from pipeline.git import Git
from pipeline.localaws.codecommit.repositories import Repositories, changes
from pipeline.localaws.events import EventBus
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.service import StartResponse

PREFIX = "/v1/repos/"  # as in CodeCommit's own clone URLs
BLOCK = 1 << 16

# What the CGI standard and `git help http-backend` name; nothing else of the request or of our environment reaches git.
_CGI_VARIABLES = (
    "REQUEST_METHOD", "QUERY_STRING", "CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_CONTENT_ENCODING", "HTTP_GIT_PROTOCOL",
)  # fmt: skip


class GitHttp:
    """A WSGI application that serves the repositories below `/v1/repos/`."""

    def __init__(self, region: LocalRegion, repositories: Repositories) -> None:
        self._region = region
        self._repositories = repositories
        self._bus = EventBus(region)
        self._pushing: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request of a git client."""
        name, _, rest = environ["PATH_INFO"].removeprefix(PREFIX).partition("/")
        repository = self._repositories.open(name.removesuffix(".git"))
        if repository is None:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [f"repository {name} does not exist in the local AWS\n".encode()]
        if rest != "git-receive-pack":
            return self._backend(environ, start_response, repository, rest)
        with self._pushing[name]:
            before = repository.branches()
            answer = list(self._backend(environ, start_response, repository, rest))
            after = repository.branches()
        for change in changes(before, after):
            detail = {
                "event": change.event,
                "repositoryName": name,
                "repositoryId": name,
                "referenceType": "branch",
                "referenceName": change.branch,
                "referenceFullName": f"refs/heads/{change.branch}",
                "commitId": change.after,
                "oldCommitId": change.before,
            }
            arn = f"arn:aws:codecommit:{self._region.region}:{self._region.account}:{name}"
            self._bus.emit("aws.codecommit", "CodeCommit Repository State Change", detail, [arn])
        return answer

    def _backend(
        self, environ: dict[str, Any], start_response: StartResponse, repository: Git, rest: str
    ) -> Iterable[bytes]:
        variables = {key: str(environ[key]) for key in _CGI_VARIABLES if environ.get(key)}
        if environ.get("wsgi.input_terminated"):
            # git reads to the end of its input: of a chunked body nobody knows the length beforehand.
            variables.pop("CONTENT_LENGTH", None)
        process = subprocess.Popen(
            ["git", "http-backend"],
            env={
                "PATH": environ.get("local.path", "/usr/local/bin:/usr/bin:/bin"),
                "GIT_PROJECT_ROOT": str(repository.folder.parent),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": f"/{repository.folder.name}/{rest}",
                "REMOTE_USER": "local",
                **variables,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - asked for above
        feeder = threading.Thread(target=_feed, args=(get_input_stream(environ), process.stdin), daemon=True)
        feeder.start()
        status, headers = _read_head(process.stdout)
        start_response(status, headers)
        return _body(process, feeder)


def _feed(source: IO[bytes], sink: IO[bytes]) -> None:
    try:
        while block := source.read(BLOCK):
            sink.write(block)
        sink.close()
    except (BrokenPipeError, ConnectionError):
        pass  # git has ended, or the client has gone: either shows in the answer


def _read_head(output: IO[bytes]) -> tuple[str, list[tuple[str, str]]]:
    status, headers = "200 OK", []
    while line := output.readline().strip().decode("latin-1"):
        key, _, value = line.partition(":")
        if key.lower() == "status":
            status = value.strip()
        else:
            headers.append((key, value.strip()))
    return status, headers


def _body(process: subprocess.Popen[bytes], feeder: threading.Thread) -> Iterable[bytes]:
    assert process.stdout is not None  # noqa: S101 - asked for above
    try:
        while block := process.stdout.read(BLOCK):
            yield block
    finally:
        process.stdout.close()
        process.wait()
        feeder.join(timeout=1)
