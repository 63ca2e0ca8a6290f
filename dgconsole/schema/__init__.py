"""Ingest JSON, partitioner field lists and spec skeletons, from a Felis schema or from the spec: ``dgschema``."""
