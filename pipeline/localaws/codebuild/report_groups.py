"""Report groups and the reports in them."""

import copy
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pipeline.localaws.codebuild.reports import FileCoverage, TestCase, counts, percentage
from pipeline.localaws.region import LocalRegion

KEPT: Final = timedelta(days=30)
CASES_KEPT: Final = 500  # of one report, the failed ones first (user guide, "Test report statuses")
NO_EXPORT: Final = {"exportConfigType": "NO_EXPORT"}


@dataclass
class Report:
    """A report: what the API shows, and its rows."""

    document: dict[str, Any]
    cases: Sequence[TestCase] = field(default=())
    files: Sequence[FileCoverage] = field(default=())


class ReportGroups:
    """All report groups of the region, with their reports."""

    def __init__(self, region: LocalRegion) -> None:
        self.groups: dict[str, dict[str, Any]] = {}
        self.reports: dict[str, Report] = {}
        self._arn = f"arn:aws:codebuild:{region.region}:{region.account}"
        self._lock = threading.Lock()

    def arn(self, name: str) -> str:
        """The ARN of the group of that name."""
        return f"{self._arn}:report-group/{name}"

    def create(
        self, name: str, kind: str, export: Mapping[str, Any] | None = None, tags: Sequence[Mapping[str, str]] = ()
    ) -> dict[str, Any]:
        """A new group, or the one that is there."""
        now = datetime.now(UTC)
        document = {
            "arn": self.arn(name),
            "name": name,
            "type": kind,
            "exportConfig": dict(export or NO_EXPORT),
            "created": now,
            "lastModified": now,
            "tags": list(tags),
            "status": "ACTIVE",
        }
        with self._lock:
            return self.groups.setdefault(self.arn(name), document)

    def begin(self, group: Mapping[str, Any], build: str) -> str:
        """A new report of a build, being generated; returns its ARN."""
        now = datetime.now(UTC)
        own = str(uuid.uuid4())
        arn = f"{self._arn}:report/{group['name']}:{own}"
        document = {
            "arn": arn,
            "type": group["type"],
            "name": own,
            "reportGroupArn": group["arn"],
            "executionId": build,
            "status": "GENERATING",
            "created": now,
            "expired": now + KEPT,
            "exportConfig": copy.deepcopy(group["exportConfig"]),
            "truncated": False,
        }
        with self._lock:
            self.reports[arn] = Report(document)
        return arn

    def incomplete(self, arn: str) -> None:
        """The report could not be made."""
        self.reports[arn].document["status"] = "INCOMPLETE"

    def finish_tests(self, arn: str, cases: Sequence[TestCase]) -> str:
        """The report has these tests; returns its status."""
        counted = counts(cases)
        status = "FAILED" if counted["FAILED"] + counted["ERROR"] else "SUCCEEDED"
        summary = {
            "total": len(cases),
            "statusCounts": counted,
            "durationInNanoSeconds": sum(case.nanoseconds for case in cases),
        }
        failed_first = sorted(cases, key=lambda case: case.status not in ("FAILED", "ERROR"))
        report = self.reports[arn]
        report.cases = failed_first[:CASES_KEPT] if len(cases) > CASES_KEPT else list(cases)
        report.document |= {"testSummary": summary, "truncated": len(cases) > CASES_KEPT, "status": status}
        return status

    def finish_coverage(self, arn: str, files: Sequence[FileCoverage]) -> str:
        """The report has these files; returns its status."""
        report = self.reports[arn]
        report.files = files
        lines = sum(file.lines_covered for file in files), sum(file.lines_missed for file in files)
        branches = sum(file.branches_covered for file in files), sum(file.branches_missed for file in files)
        report.document |= {"codeCoverageSummary": _coverage(*lines, *branches), "status": "SUCCEEDED"}
        return "SUCCEEDED"

    def of_group(self, arn: str) -> list[dict[str, Any]]:
        """The reports of a group, oldest first."""
        with self._lock:
            found = [report.document for report in self.reports.values()]
        return [document for document in found if document["reportGroupArn"] == arn]

    def delete(self, group: str) -> None:
        """Forget a group and its reports."""
        with self._lock:
            self.groups.pop(group, None)
            for arn in [a for a, report in self.reports.items() if report.document["reportGroupArn"] == group]:
                del self.reports[arn]

    def delete_report(self, arn: str) -> None:
        """Forget a report; none of that ARN is no error."""
        with self._lock:
            self.reports.pop(arn, None)


def case_document(report: Mapping[str, Any], case: TestCase) -> dict[str, Any]:
    """A test as DescribeTestCases shows it."""
    return {
        "reportArn": report["arn"],
        "testRawDataPath": "",
        "prefix": case.prefix,
        "name": case.name,
        "status": case.status,
        "durationInNanoSeconds": case.nanoseconds,
        "message": case.message,
        "expired": report["expired"],
        "testSuiteName": case.suite,
    }


def coverage_document(report: Mapping[str, Any], file: FileCoverage) -> dict[str, Any]:
    """A file as DescribeCodeCoverages shows it."""
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{report['arn']}/{file.path}")),
        "reportARN": report["arn"],
        "filePath": file.path,
        "expired": report["expired"],
        **_coverage(file.lines_covered, file.lines_missed, file.branches_covered, file.branches_missed),
    }


def _coverage(lines: int, lines_missed: int, branches: int, branches_missed: int) -> dict[str, Any]:
    return {
        "lineCoveragePercentage": percentage(lines, lines_missed),
        "linesCovered": lines,
        "linesMissed": lines_missed,
        "branchCoveragePercentage": percentage(branches, branches_missed),
        "branchesCovered": branches,
        "branchesMissed": branches_missed,
    }
