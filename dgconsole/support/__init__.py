"""Small tools without policy that every room may use: errors, clock, logs, batches of rows."""
