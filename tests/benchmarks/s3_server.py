"""moto in a process of its own: counts S3 requests by method, adds latency to each. As a script: PORT SECONDS."""

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

COUNTS = "/counted-requests"


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # clients keep their connections, as with S3

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing."""


def main(port: int, latency: float) -> None:
    """Serve until killed."""
    moto: Any = DomainDispatcherApplication(create_backend_app)
    counts: Counter[str] = Counter()
    lock = threading.Lock()

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == COUNTS:
            with lock:
                answer = json.dumps(counts).encode()
                counts.clear()
            start_response("200 OK", [("Content-Length", str(len(answer)))])
            return [answer]
        time.sleep(latency)
        scope = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].split("/")
        if len(scope) > 3 and scope[3] == "s3":  # KEY/DATE/REGION/SERVICE
            with lock:
                counts[environ["REQUEST_METHOD"]] += 1
        found: Iterable[bytes] = moto(environ, start_response)
        return found

    make_server("127.0.0.1", port, app, threaded=True, request_handler=_Quiet).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
