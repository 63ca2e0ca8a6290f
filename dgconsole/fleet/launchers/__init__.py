"""Ways to reach a host: each opens a channel to a Python that runs the host agent there."""
