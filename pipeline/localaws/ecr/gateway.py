"""The registry as Docker sees it: `/v2/` of the server, with what ECR enforces in front of a real registry."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import IO, Any, Final

from werkzeug.datastructures import Headers
from werkzeug.wrappers import Request, Response
from werkzeug.wsgi import get_input_stream

from pipeline.localaws.ecr.repositories import Repositories, Repository
from pipeline.localaws.ecr.tokens import Tokens, password_of
from pipeline.localaws.machine.registry import PIECE, Registry
from pipeline.localaws.service import StartResponse

PREFIX = "/v2/"
_RESOURCE = re.compile(r"/v2/(?P<name>.+?)/(?P<kind>manifests|blobs|tags)/(?P<rest>.*)")
_HOP_BY_HOP: Final = {"date", "connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host"}
_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="local ECR",service="ecr.amazonaws.com"'}


@dataclass(frozen=True)
class Refusal:
    """An error of the registry API; Docker prints the message."""

    status: int
    code: str
    message: str

    def response(self) -> Response:
        """The error as the distribution specification wants it."""
        body = json.dumps({"errors": [{"code": self.code, "message": self.message}]})
        challenge = _CHALLENGE if self.status == HTTPStatus.UNAUTHORIZED else {}
        headers = {"Docker-Distribution-Api-Version": "registry/2.0"} | challenge
        return Response(body + "\n", status=self.status, mimetype="application/json", headers=headers)


class Gateway:
    """A WSGI application for requests below `/v2/`. Blobs pass through in pieces, in both directions."""

    def __init__(self, registry: Registry, repositories: Repositories, tokens: Tokens) -> None:
        self._registry = registry
        self._repositories = repositories
        self._tokens = tokens

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        refusal = self._refuse(request)
        response = refusal.response() if refusal else self._answer(request)
        return response(environ, start_response)

    def _answer(self, request: Request) -> Response:
        resource = _RESOURCE.fullmatch(request.path)
        if resource is None or request.method == "PATCH":  # a part of a blob is nobody else's yet
            return self._forward(request)
        with self._registry.turn(resource["name"]):  # of two pushes of one immutable tag, the second is refused
            tagging = request.method == "PUT" and resource["kind"] == "manifests"
            refusal = self._refuse_tag(resource["name"], resource["rest"]) if tagging else None
            return refusal.response() if refusal else self._forward(request)

    def _refuse(self, request: Request) -> Refusal | None:
        return self._refuse_caller(request) or (None if request.path == PREFIX else self._refuse_resource(request))

    def _refuse_caller(self, request: Request) -> Refusal | None:
        verdict = self._tokens.judge(password_of(request.headers.get("Authorization", "")) or "", datetime.now(UTC))
        if verdict.expired:
            return Refusal(403, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")
        return None if verdict.good else Refusal(401, "UNAUTHORIZED", "Not Authorized")

    def _refuse_resource(self, request: Request) -> Refusal | None:
        resource = _RESOURCE.fullmatch(request.path)
        if resource is None:
            return Refusal(404, "UNSUPPORTED", f"the local ECR does not answer {request.path}")
        if request.method == "DELETE" and resource["kind"] == "manifests":
            return Refusal(405, "UNSUPPORTED", "Images are deleted by ECR's BatchDeleteImage.")
        if self._repositories.find(resource["name"]) is None:
            return Refusal(404, "NAME_UNKNOWN", _unknown(resource["name"], self._repositories.account))
        return None

    def _refuse_tag(self, name: str, tag: str) -> Refusal | None:
        repository = self._repositories.find(name)
        if repository is None:
            return None
        if ":" not in tag and tag in self._registry.storage.tags(repository.name) and repository.is_immutable(tag):
            return Refusal(400, "TAG_INVALID", tag_exists(repository, tag))
        return None

    def _forward(self, request: Request) -> Response:
        connection = self._registry.connect()
        headers = {key: value for key, value in request.headers if key.lower() not in _HOP_BY_HOP | {"authorization"}}
        has_body = "Content-Length" in headers or request.headers.get("Transfer-Encoding", "").lower() == "chunked"
        try:
            connection.request(
                request.method,
                request.path + (f"?{request.query_string.decode('latin-1')}" if request.query_string else ""),
                body=_pieces(get_input_stream(request.environ)) if has_body else None,
                headers=headers,
                encode_chunked="Content-Length" not in headers,
            )
            answer = connection.getresponse()
        except (OSError, HTTPException) as error:
            connection.close()
            return Refusal(503, "UNAVAILABLE", f"the registry does not answer: {error}").response()
        kept = [(key, value) for key, value in answer.getheaders() if key.lower() not in _HOP_BY_HOP]
        if request.method == "GET":
            return Response(_Body(connection, answer), status=answer.status, headers=kept, direct_passthrough=True)
        response = Response(answer.read(), status=answer.status)
        response.headers = Headers(kept)  # for HEAD, the length of what it does not hold
        connection.close()
        return response


class _Body:
    """The registry's answer in pieces; the server closes it, read or not."""

    def __init__(self, connection: HTTPConnection, answer: HTTPResponse) -> None:
        self._connection = connection
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return _pieces(self._answer)

    def close(self) -> None:
        self._connection.close()


def _unknown(name: str, account: str) -> str:
    return f"The repository with name '{name}' does not exist in the registry with id '{account}'"


def tag_exists(repository: Repository, tag: str) -> str:
    """ECR's sentence for a push of a tag that exists and is immutable."""
    return (
        f"The image tag '{tag}' already exists in the '{repository.name}' repository "
        "and cannot be overwritten because the tag is immutable."
    )


def _pieces(stream: IO[bytes] | HTTPResponse) -> Iterator[bytes]:
    while piece := stream.read(PIECE):
        yield piece
