"""Hosts and the client processes on them."""
