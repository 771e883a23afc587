"""The evaluation record: one JSON document with a published schema."""
