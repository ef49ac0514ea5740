"""A plug-in of detect-secrets, by its path: GitHub's fine-grained tokens, which its own plug-in does not know."""

import re
from typing import ClassVar

from detect_secrets.plugins.base import RegexBasedDetector


class GitHubFineGrainedTokenDetector(RegexBasedDetector):
    """GitHub's documentation, "About authentication to GitHub": their prefix is `github_pat_`."""

    secret_type: ClassVar[str] = "GitHub fine-grained token"  # noqa: S105 - what is found, not a secret
    denylist: ClassVar[list[re.Pattern[str]]] = [re.compile(r"github_pat_[A-Za-z0-9_]{36,}")]
