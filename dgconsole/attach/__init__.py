"""A session seen from another process: what goes over control.sock, and the end that a face holds."""
