"""A run read from its directory: the report of one that is finished, goes on, or crashed; nothing is changed."""
