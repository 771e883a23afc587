"""Writes the published JSON Schemas: `python -m sysu30k_bench.results.schema`."""

from __future__ import annotations

from pathlib import Path

from sysu30k_bench.results.record import record_schema

SCHEMA_FILE = Path(__file__).with_name("result.schema.json")


def main() -> None:
    """Writes `result.schema.json` beside this file."""
    SCHEMA_FILE.write_text(record_schema(), encoding="utf-8")


if __name__ == "__main__":
    main()
