"""Chunk files loaded into MariaDB or MySQL, one table a chunk, under the names that Qserv's workers use."""
