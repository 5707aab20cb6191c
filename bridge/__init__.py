"""The place of the ZeroMQ bridge between runs."""
