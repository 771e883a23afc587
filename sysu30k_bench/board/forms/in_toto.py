"""A re-scored row as an in-toto statement v1 with a test result v0.1, to be signed.

Formats: https://github.com/in-toto/attestation (spec/v1/statement.md, spec/predicates/test-result.md).
"""

from __future__ import annotations

import json

from sysu30k_bench.board.rows import STATUSES, Row
from sysu30k_bench.errors import UsageError
from sysu30k_bench.files import sha256_of_bytes

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"


def statement(row: Row, content: bytes) -> bytes:
    """Writes what a maintainer found: every score of the row follows from the ranking whose digest it names.

    Args:
        row: Of status `re-scored` or better.
        content: The bytes of its file.

    Raises:
        UsageError: Nobody but the submitter has computed its scores.
    """
    if row.evidence is None or STATUSES.index(row.status) < STATUSES.index("re-scored"):
        raise UsageError(
            f"{row.id} is {row.status}: there is nothing to attest",
            hint="a row without evidence has no ranking that could be scored again"
            if row.evidence is None
            else "first `sysu30k-bench leaderboard rescore`",
        )
    made = {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": f"rows/{row.id}.json", "digest": {"sha256": sha256_of_bytes(content)}},
            {"name": f"evidence/{row.id}.csv", "digest": {"sha256": row.evidence.ranking_sha256}},
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "result": "PASSED",
            "configuration": [{"name": "protocol", "digest": {"sha256": row.evidence.protocol_sha256}}],
            "passedTests": ["every score follows from the ranking"],
            "warnedTests": ["practice: the people are drawn"] if row.practice else [],
            "failedTests": [],
        },
    }
    return (json.dumps(made, indent=1, ensure_ascii=False) + "\n").encode()
