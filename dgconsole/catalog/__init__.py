"""Synthetic tables: values as pure functions of their address, in batches of rows."""
