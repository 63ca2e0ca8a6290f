"""The commands attach, report and serve: their options, and what they put together."""
