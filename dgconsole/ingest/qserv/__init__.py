"""The destination ``qserv``: chunk files into the workers of a Qserv, in its super-transactions."""
