"""Lists in pages, as CodeBuild's APIs give them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from pipeline.localaws.service import ServiceError

PAGE: Final = 100

_Item = TypeVar("_Item")


def page(items: Sequence[_Item], request: Mapping[str, Any], *, key: str) -> dict[str, Any]:
    """One page of a list; the token is the place of the next item.

    Raises:
        ServiceError: The token is none of ours.
    """
    token = request.get("nextToken") or "0"
    if not token.isdecimal():
        raise ServiceError("InvalidInputException", f"Invalid next token: {token}")
    start, size = int(token), int(request.get("maxResults") or PAGE)
    more = {"nextToken": str(start + size)} if start + size < len(items) else {}
    return {key: list(items[start : start + size]), **more}


def in_order(items: Sequence[_Item], request: Mapping[str, Any], *, default: str) -> Sequence[_Item]:
    """A list that is ascending, or turned round when the request says so."""
    return items if request.get("sortOrder", default) == "ASCENDING" else items[::-1]
