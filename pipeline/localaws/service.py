"""What every AWS service we answer ourselves has in common: its requests and responses follow botocore's own model.

A service is a class with one method for each operation, named in snake case. It takes the request as a mapping with the
member names of the API, and returns the response the same way (times as `datetime`). Whatever botocore's model does not
allow is refused before the method sees it; an operation without a method is refused by name, unless moto answers it.
"""

import logging
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import unquote

from botocore import xform_name
from botocore.exceptions import ParamValidationError
from botocore.validate import ParamValidator
from moto.core.exceptions import ServiceException
from moto.core.model import OperationModel, ServiceModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model
from werkzeug.wrappers import Request, Response

from pipeline.localaws.region import LocalRegion

log = logging.getLogger(__name__)

# Refusing an operation needs an error code that, by its nature, is in no service's model.
warnings.filterwarnings("ignore", message=r"Exception\(ServiceError\) with code \w+ does not match an error shape")

StartResponse = Callable[..., Any]
WsgiApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]
Document = Mapping[str, Any]

# botocore prefers them in this order ("PRIORITY_ORDERED_SUPPORTED_PROTOCOLS", less CBOR, which it never needs to pick).
PROTOCOLS = ("json", "rest-json", "rest-xml", "query", "ec2")


class ServiceError(ServiceException):  # type: ignore[misc]  # moto is untyped to us
    """An error of an AWS API: `code` is the shape's name in botocore's model, `message` a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)


@dataclass(frozen=True)
class Call:
    """Who calls, as far as the request says.

    Attributes:
        access_key: The access key id that signed the request; "" when it is unsigned.
        account: The account the key belongs to.
        region: The region the request was signed for.
    """

    access_key: str
    account: str
    region: str


class Service:
    """An AWS service. Subclasses set `name` and add a method for each operation they know."""

    name: ClassVar[str]  # botocore's name of the service, e.g. "codebuild"
    signing_name: ClassVar[str] = ""  # where it differs from `name`, e.g. "airflow" for mwaa
    moto_answers_the_rest: ClassVar[bool] = (
        False  # operations we have no method for go to moto, which knows the service
    )

    def __init__(self, region: LocalRegion) -> None:
        self.region = region
        self.model: ServiceModel = get_service_model(self.name)
        self.protocol = _protocol(self.model)

    def start(self) -> None:
        """Take up work; called once, when the server already answers."""

    def stop(self) -> None:
        """End all work and all processes; called once, before the server goes."""

    def method(self, operation: str) -> Callable[[Document, Call], Document] | None:
        """The method that answers an operation, or None."""
        found = getattr(self, xform_name(operation), None)
        return found if callable(found) else None

    def operation_of(self, request: Request) -> OperationModel | None:
        """Which operation a request asks for, by the protocol of the service."""
        if self.protocol == "json":
            operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        elif self.protocol == "query":
            operation = request.values.get("Action", "")
        else:
            return self._operation_by_path(request)
        return self.model.operation_model(operation) if operation in self.model.operation_names else None

    def _operation_by_path(self, request: Request) -> OperationModel | None:
        for name in self.model.operation_names:
            operation = self.model.operation_model(name)
            if operation.http["method"] == request.method and _path_match(operation, request.path):
                return operation
        return None

    def answer(self, request: Request, call: Call) -> Response:
        """Parse, validate, run the method, serialise; every failure becomes an error of the API."""
        operation = self.operation_of(request)
        if operation is None:
            return Response(f"the local AWS does not know this request to {self.name}", status=400)
        serializer = get_serializer_class(self.name, self.protocol)(operation)
        result: Any
        try:
            result = self._perform(operation, request, call)
        except ServiceException as error:
            result = error
        except Exception as error:
            log.exception("%s:%s failed", self.name, operation.name)
            result = ServiceError("InternalFailure", f"{self.name}:{operation.name}: {type(error).__name__}: {error}")
        answer = serializer.serialize(result)
        return Response(answer["body"], status=answer["status_code"], headers=dict(answer["headers"]))

    def _perform(self, operation: OperationModel, request: Request, call: Call) -> Document:
        method = self.method(operation.name)
        if method is None:
            raise ServiceError(
                "NotImplementedException", f"the local AWS does not implement {self.name}:{operation.name}"
            )
        parser = PROTOCOL_PARSERS[self.protocol](operation)
        match = _path_match(operation, request.path)
        document = parser.parse(
            {
                "body": request.get_data() if self.protocol != "query" else b"",
                "headers": request.headers,
                "method": request.method,
                "url_params": {key: unquote(value) for key, value in match.groupdict().items()} if match else {},
                "url_path": request.path,
                "values": request.values,
            }
        )
        if operation.input_shape is not None:
            report = ParamValidator().validate(document, operation.input_shape)
            if report.has_errors():
                raise ServiceError("ValidationException", str(ParamValidationError(report=report.generate_report())))
        return method(document, call) or {}


def _protocol(model: ServiceModel) -> str:
    """The protocol that AWS's clients choose for a service: the first they know of those it speaks."""
    spoken = model.metadata.get("protocols", [model.protocol])
    return next(protocol for protocol in PROTOCOLS if protocol in spoken)


def _path_match(operation: OperationModel, path: str) -> re.Match[str] | None:
    template = operation.http["requestUri"].split("?")[0]
    pattern = re.sub(
        r"\{(\w+)(\+?)\}", lambda m: f"(?P<{m[1]}>{'.+' if m[2] else '[^/]+'})", template.rstrip("/") or "/"
    )
    return re.fullmatch(pattern, path.rstrip("/") or "/")
