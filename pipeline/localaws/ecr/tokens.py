"""The tokens that `docker login` uses: signed, so that none has to be kept, and good for twelve hours, as ECR's."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

USER = "AWS"
LIFETIME = timedelta(hours=12)


@dataclass(frozen=True)
class Verdict:
    """Whether a password is good, and if not, whether it once was."""

    good: bool
    expired: bool = False


class Tokens:
    """Makes tokens and judges them; the key lies in a file, so that tokens outlive the server."""

    def __init__(self, key_file: Path) -> None:
        self._key_file = key_file

    def issue(self, now: datetime) -> tuple[str, datetime]:
        """A new password, and when it expires."""
        expires = (now + LIFETIME).replace(microsecond=0)
        body = f"{int(expires.timestamp())}.{secrets.token_hex(8)}"
        return f"{body}.{self._signature(body)}", expires

    def judge(self, password: str, now: datetime) -> Verdict:
        """Whether we made this password, and not too long ago."""
        body, _, signature = password.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(body).encode()):
            return Verdict(good=False)
        expires = datetime.fromtimestamp(int(body.partition(".")[0]), UTC)
        return Verdict(good=now < expires, expired=now >= expires)

    def _signature(self, body: str) -> str:
        return hmac.new(self._key(), body.encode(), hashlib.sha256).hexdigest()

    def _key(self) -> bytes:
        if not self._key_file.exists():
            self._key_file.parent.mkdir(parents=True, exist_ok=True)
            new = self._key_file.with_suffix(f".{secrets.token_hex(4)}")
            new.touch(mode=0o600)
            new.write_bytes(secrets.token_bytes(32))
            try:
                self._key_file.hardlink_to(new)  # the first of two threads wins
            except FileExistsError:
                pass
            finally:
                new.unlink()
        return self._key_file.read_bytes()


def authorization_token(password: str) -> str:
    """What GetAuthorizationToken returns: user and password as HTTP's Basic authentication wants them."""
    return base64.b64encode(f"{USER}:{password}".encode()).decode("ascii")


def password_of(authorization: str) -> str | None:
    """The password of an `Authorization: Basic` header of the user `AWS`; None for anything else."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    return password if user == USER else None
