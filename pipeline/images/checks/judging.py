"""All checks of an image, each under the team's policy: what is off is not looked for, what is denied stops it."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import docker

from pipeline.errors import PipelineError
from pipeline.images.checks import lint, pinning, sbom
from pipeline.images.checks.context_size import too_large
from pipeline.images.checks.finding import Finding
from pipeline.images.checks.scan import Scan, Scanned, mend_of, verdict
from pipeline.images.checks.secrets import suspicions
from pipeline.images.containers import DOCKERFILE, Container
from pipeline.images.dockerignore import IGNORE_FILE
from pipeline.images.inputs import context_files, shown
from pipeline.settings import SETTINGS_FILE, Images, Policy


class Checks:
    """The checks of one project.

    Args:
        configured: The team's policies.
        client: The engine, when images are built.
        sboms: Where SBOMs are written.
        tags: Container → content tag, for the SBOMs.
        secrets: Ids of the build secrets that are supplied, besides those of the settings.
    """

    def __init__(
        self,
        configured: Images,
        client: docker.DockerClient | None = None,
        sboms: Path = Path(),
        tags: Mapping[str, str] | None = None,
        secrets: Iterable[str] = (),
    ) -> None:
        self._configured = configured
        self._client = client
        self._sboms = sboms
        self._tags = tags or {}
        self._supplied = {*configured.build_secrets, *secrets}

    def before(self, container: Container) -> tuple[Finding, ...]:
        """Findings about a container that is about to be built."""
        checks: tuple[tuple[str, Callable[[Container, bool], list[Finding]]], ...] = (
            ("lint", self._lint),
            ("unpinned_base", self._unpinned),
            ("large_context", self._size),
            ("secrets", self._secrets),
        )
        found: list[Finding] = []
        for name, check in checks:
            if (policy := self._policy(name)) != "off":
                found += check(container, policy == "deny")
        return (*found, *self._without_secrets(container))

    def built(self, container: Container, image: str, platform: str) -> tuple[Finding, ...]:
        """Write the SBOM of an image in the engine's store; a finding when that is not possible."""
        policy = self._policy("sbom")
        if policy == "off" or self._client is None:
            return ()
        try:
            found = sbom.contents_of(self._client, image)
        except PipelineError as error:
            what = f"no SBOM can be made: {error.what}"
            return (Finding("sbom", container.name, what, policy == "deny", "Let the policy be `warn` or `off`."),)
        text = sbom.document(container.name, self._tags.get(container.name, ""), platform, found)
        sbom.write(self._sboms, container.name, platform, text)
        return ()

    def scanned(self, image: Scanned, scan: Scan) -> tuple[Finding, ...]:
        """What the registry's scan says of an image that is in the registry."""
        policy = self._policy("scan")
        what, denied = verdict(scan, self._configured.scan_severity, policy, self._configured.scan_seconds)
        if policy == "off" or not what:
            return ()
        where = f"{image.name} ({image.platform})" if image.platform else image.name
        return (Finding("scan", where, what, denied, mend_of(scan, image.digest)),)

    def _policy(self, name: str) -> Policy:
        policy: Policy = getattr(self._configured.checks, name)
        return policy

    def _lint(self, container: Container, denied: bool) -> list[Finding]:
        path = container.folder / DOCKERFILE
        try:
            remarks = lint.lint(path)
        except PipelineError as error:
            return [Finding("lint", str(path), error.what, denied, error.mend)]
        mend = (
            "https://github.com/hadolint/hadolint/wiki/{code} explains the rule; "
            "`# hadolint ignore={code}` above the line lifts it."
        )
        return [
            Finding("lint", f"{path}:{each.line}", f"{each.code} {each.message}", denied, mend.format(code=each.code))
            for each in remarks
        ]

    def _unpinned(self, container: Container, denied: bool) -> list[Finding]:
        return [
            Finding(
                "unpinned_base",
                str(container.folder / DOCKERFILE),
                f"{_named(each)} is not pinned by digest: it may be another image tomorrow",
                denied,
                _pinning_mend(each),
            )
            for each in pinning.references(container.dockerfile(), container.arguments)
            if not each.pinned
        ]

    def _without_secrets(self, container: Container) -> list[Finding]:
        """Never denied: a mount need not be `required`, and then BuildKit goes on without it."""
        return [
            Finding(
                "build_secrets",
                str(container.folder / DOCKERFILE),
                f"it mounts the build secret {name!r}, which nobody supplies",
                denied=False,
                mend=f"Name it in {SETTINGS_FILE}, images.build_secrets, or give --build-secret {name}=FILE.",
            )
            for name in sorted(container.dockerfile().secrets - self._supplied)
        ]

    def _size(self, container: Container, denied: bool) -> list[Finding]:
        what = too_large(context_files(container), self._configured.context_limit)
        mend = f"Name in {IGNORE_FILE} what the image does not need, or raise context_limit."
        return [Finding("large_context", str(container.folder), what, denied, mend)] if what else []

    def _secrets(self, container: Container, denied: bool) -> list[Finding]:
        mend = (
            f"Name the file in {IGNORE_FILE}, and replace the secret if it was ever committed. A line that is no "
            "secret ends with the comment `pragma: allowlist secret`."
        )
        return [
            Finding(
                "secrets",
                shown(str(container.folder / each.path)) + (f":{each.line}" if each.line else ""),
                f"{each.kind}" if not each.line else f"this looks like a secret ({each.kind})",
                denied,
                mend,
            )
            for each in suspicions(context_files(container))
        ]


def _named(reference: pinning.Reference) -> str:
    return f"{reference.written} ({reference.name})" if reference.variable and reference.known else reference.written


def _pinning_mend(reference: pinning.Reference) -> str:
    if not reference.variable:
        return "Pin it: pipeline images pin"
    if reference.known:
        return "Write the digest where the build argument has its value."
    return "Write the whole name into the Dockerfile."
