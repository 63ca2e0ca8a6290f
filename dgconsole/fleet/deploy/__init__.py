"""Our own version brought to a host: a wheel of what runs here, and a venv over there that holds it."""
