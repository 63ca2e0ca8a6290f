"""The books of a run: which chunk is whose, what is done, what failed, on disk before anyone is told."""
