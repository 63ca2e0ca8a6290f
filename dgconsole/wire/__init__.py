"""What console and client say to each other: messages, framing, and which message is legal when."""
