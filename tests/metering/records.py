"""Builds usage records for tests: a token record of one request, with what the test changes."""

from datetime import UTC, datetime, timedelta
from typing import Any

from galerne.metering.usage.schemas import UsageRecordIn

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ORGANIZATION = "org_one"
PROJECT = "prj_one"
LABEL = {"residency": ["FR"], "operator_not_subject_to": [], "certifications": []}


def usage(source_id: str, **changes: Any) -> UsageRecordIn:
    """Return 100 input tokens of one model, in the second before noon, unless told otherwise."""
    stated: dict[str, Any] = {
        "organization_id": ORGANIZATION,
        "project_id": PROJECT,
        "meter": "tokens_input",
        "quantity": 100,
        "started_at": NOON - timedelta(seconds=1),
        "ended_at": NOON,
        "workload_id": "dep_one",
        "workload_kind": "deployment",
        "site_id": "site_one",
        "model": "smollm2-135m-instruct",
        "key_id": "key_one",
        "label": LABEL,
    }
    return UsageRecordIn(source_id=source_id, **(stated | changes))
