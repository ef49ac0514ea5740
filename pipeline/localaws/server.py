"""One port for all of AWS: routes a request to a service of ours, to git, to the registry, or to moto."""

import io
import logging
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from moto.iam.models import get_account_id_from
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Request

from pipeline.localaws import moto_logs, moto_s3
from pipeline.localaws.region import LocalRegion
from pipeline.localaws.service import Call, Service, StartResponse, WsgiApp

log = logging.getLogger(__name__)

_CREDENTIAL = re.compile(r"Credential=(?P<key>[^/]+)/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")


class LocalAws:
    """A WSGI application that answers as AWS.

    Args:
        region: Where it answers.
        services: The services we answer ourselves.
        mounts: Applications that are not AWS APIs, by the start of the path: git, the image registry.
    """

    def __init__(
        self, region: LocalRegion, services: Sequence[Service], mounts: Mapping[str, WsgiApp] | None = None
    ) -> None:
        moto_s3.install()
        moto_logs.install()
        self.region = region
        self.services = {service.signing_name or service.name: service for service in services}
        self.mounts = dict(mounts or {})
        self.moto: WsgiApp = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        signed = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        if not signed:
            path = environ.get("PATH_INFO", "")
            for prefix, mounted in self.mounts.items():
                if path.startswith(prefix):
                    return mounted(environ, start_response)
        service = self.services.get(signed["service"]) if signed else None
        if service is None or signed is None:
            return self.moto(environ, start_response)
        environ = _with_body_in_memory(environ)
        request = Request(environ)
        operation = service.operation_of(request)
        if operation is not None and service.method(operation.name) is None and service.moto_answers_the_rest:
            environ["wsgi.input"].seek(0)
            return self.moto(environ, start_response)
        call = Call(signed["key"], get_account_id_from(signed["key"]), signed["region"])
        return service.answer(request, call)(environ, start_response)


def _with_body_in_memory(environ: dict[str, Any]) -> dict[str, Any]:
    """Let the body be read more than once: by the routing, and by whoever answers. API requests are small."""
    body = Request(environ).get_data(parse_form_data=False)
    return environ | {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body)), "wsgi.input_terminated": True}


class Server:
    """Serves a `LocalAws` on loopback, a thread for each request."""

    def __init__(self, app: LocalAws, port: int) -> None:
        self._app = app
        self._http = make_server("127.0.0.1", port, app, threaded=True, request_handler=_QuietHandler)
        self._thread = threading.Thread(target=self._http.serve_forever, name="local-aws", daemon=True)

    def start(self) -> None:
        """Answer requests, then let every service take up its work."""
        self._thread.start()
        for service in self._app.services.values():
            service.start()

    def stop(self) -> None:
        """End every service's work, then stop answering. A service that fails to stop does not keep the others."""
        for service in reversed(self._app.services.values()):
            try:
                service.stop()
            except Exception:
                log.exception("%s did not stop cleanly", service.name)
        self._http.shutdown()
        self._http.server_close()


class _QuietHandler(MotoRequestHandler):  # type: ignore[misc]  # moto is untyped to us
    def handle_expect_100(self) -> bool:
        """Leave "100 Continue" to werkzeug, which says it too: a client that hears it twice loses its place."""
        return True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:  # noqa: ARG002 - werkzeug's signature
        log.debug("%s %s %s", getattr(self, "command", ""), getattr(self, "path", ""), code)

    def log_error(self, format: str, *arguments: object) -> None:  # noqa: A002 - werkzeug's signature
        # Docker tries TLS before it takes loopback's plain HTTP: such a request has no first line to show.
        log.debug(format, *arguments)
