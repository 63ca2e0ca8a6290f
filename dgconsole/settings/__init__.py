"""Input files of the user, read into frozen and validated structs; every problem with file, line and key."""
