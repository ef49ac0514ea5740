"""Report groups, reports, test cases and coverage: the operations of the API."""

import copy
from datetime import UTC, datetime
from typing import Any

from pipeline.localaws.codebuild.pages import in_order, page
from pipeline.localaws.codebuild.report_groups import Report, ReportGroups, case_document, coverage_document
from pipeline.localaws.service import Call, Document, ServiceError


class Reports:
    """The report operations of the API."""

    reports: ReportGroups

    def create_report_group(self, request: Document, call: Call) -> Document:  # noqa: ARG002 - every operation's signature
        """Make a report group."""
        arn = self.reports.arn(request["name"])
        if arn in self.reports.groups:
            raise ServiceError("ResourceAlreadyExistsException", f"Report group already exists: {arn}")
        _check_export(request["exportConfig"])
        group = self.reports.create(request["name"], request["type"], request["exportConfig"], request.get("tags", ()))
        return {"reportGroup": copy.deepcopy(group)}

    def update_report_group(self, request: Document, _: Call) -> Document:
        """Replace the members that are given."""
        group = self._group(request["arn"])
        _check_export(request.get("exportConfig", {}))
        given = {key: copy.deepcopy(request[key]) for key in ("exportConfig", "tags") if key in request}
        group |= {**given, "lastModified": datetime.now(UTC)}
        return {"reportGroup": copy.deepcopy(group)}

    def delete_report_group(self, request: Document, _: Call) -> Document:
        """Forget a report group; one with reports only when asked to delete those too."""
        if self.reports.of_group(request["arn"]) and not request.get("deleteReports", False):
            raise ServiceError("InvalidInputException", f"Report group is not empty: {request['arn']}")
        self.reports.delete(request["arn"])
        return {}

    def batch_get_report_groups(self, request: Document, _: Call) -> Document:
        """Report groups by ARN."""
        arns = request["reportGroupArns"]
        known = self.reports.groups
        return {
            "reportGroups": [copy.deepcopy(known[arn]) for arn in arns if arn in known],
            "reportGroupsNotFound": [arn for arn in arns if arn not in known],
        }

    def list_report_groups(self, request: Document, _: Call) -> Document:
        """ARNs of the report groups."""
        key = {"CREATED_TIME": "created", "LAST_MODIFIED_TIME": "lastModified"}.get(request.get("sortBy", ""), "name")
        groups = sorted(self.reports.groups.values(), key=lambda group: (group[key], group["name"]))
        arns = [group["arn"] for group in groups]
        return page(in_order(arns, request, default="ASCENDING"), request, key="reportGroups")

    def batch_get_reports(self, request: Document, _: Call) -> Document:
        """Reports by ARN."""
        arns = request["reportArns"]
        known = self.reports.reports
        return {
            "reports": [copy.deepcopy(known[arn].document) for arn in arns if arn in known],
            "reportsNotFound": [arn for arn in arns if arn not in known],
        }

    def list_reports(self, request: Document, _: Call) -> Document:
        """ARNs of all reports, the newest first."""
        return _reports([report.document for report in list(self.reports.reports.values())], request)

    def list_reports_for_report_group(self, request: Document, _: Call) -> Document:
        """ARNs of a group's reports, the newest first."""
        self._group(request["reportGroupArn"])
        return _reports(self.reports.of_group(request["reportGroupArn"]), request)

    def delete_report(self, request: Document, _: Call) -> Document:
        """Forget a report."""
        self.reports.delete_report(request["arn"])
        return {}

    def describe_test_cases(self, request: Document, _: Call) -> Document:
        """The tests of a report, by status or by a word in their name."""
        report = self._report(request["reportArn"])
        wanted = request.get("filter", {})
        status, keyword = wanted.get("status"), wanted.get("keyword", "").lower()
        cases = [
            case_document(report.document, case)
            for case in report.cases
            if status in (None, "", case.status) and keyword in f"{case.prefix} {case.name}".lower()
        ]
        return page(cases, request, key="testCases")

    def describe_code_coverages(self, request: Document, _: Call) -> Document:
        """The files of a coverage report."""
        report = self._report(request["reportArn"])
        least, most = request.get("minLineCoveragePercentage", 0.0), request.get("maxLineCoveragePercentage", 100.0)
        files = [coverage_document(report.document, file) for file in report.files]
        by = "filePath" if request.get("sortBy") == "FILE_PATH" else "lineCoveragePercentage"
        chosen = sorted(
            (file for file in files if least <= file["lineCoveragePercentage"] <= most),
            key=lambda file: (file[by], file["filePath"]),
        )
        return page(in_order(chosen, request, default="ASCENDING"), request, key="codeCoverages")

    def _group(self, arn: str) -> dict[str, Any]:
        try:
            return self.reports.groups[arn]
        except KeyError:
            raise ServiceError("ResourceNotFoundException", f"Report group does not exist: {arn}") from None

    def _report(self, arn: str) -> Report:
        try:
            return self.reports.reports[arn]
        except KeyError:
            raise ServiceError("ResourceNotFoundException", f"Report does not exist: {arn}") from None


def _reports(reports: list[dict[str, Any]], request: Document) -> dict[str, Any]:
    status = request.get("filter", {}).get("status")
    arns = [report["arn"] for report in reports if status in (None, report["status"])]
    return page(in_order(arns, request, default="DESCENDING"), request, key="reports")


def _check_export(config: Document) -> None:
    if config.get("exportConfigType") == "S3":
        raise ServiceError("InvalidInputException", "the local AWS does not implement exporting reports to S3")
