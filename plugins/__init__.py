"""Storages, back-ends and observers that come with tweann, one a file."""
