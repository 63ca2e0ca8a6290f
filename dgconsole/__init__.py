"""dgconsole fills a partitioned sky database with synthetic catalogs, from one console."""

__version__ = "0.1.0"
