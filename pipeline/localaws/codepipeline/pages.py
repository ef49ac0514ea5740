"""Long lists in pages: a token is the position of the first row of the next page."""

from collections.abc import Sequence
from typing import Any, Final

from pipeline.localaws.service import Document, ServiceError

LARGEST_PAGE: Final = 100  # API reference: the default and the most of maxResults


def page(rows: Sequence[Any], request: Document) -> tuple[Sequence[Any], dict[str, str]]:
    """The rows a request asks for, and the `nextToken` for the rest, if there is one.

    Raises:
        ServiceError: The token is none of ours.
    """
    token = request.get("nextToken", "0")
    if not token.isdigit() or int(token) > len(rows):
        raise ServiceError("InvalidNextTokenException", f"The next token {token!r} is not valid")
    first = int(token)
    end = first + request.get("maxResults", LARGEST_PAGE)
    return rows[first:end], ({"nextToken": str(end)} if end < len(rows) else {})
