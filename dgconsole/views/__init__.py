"""Snapshots turned into rows, text, rates and causes, for every face alike."""
