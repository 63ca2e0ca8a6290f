"""The Textual application: screens and widgets over a session handle."""
