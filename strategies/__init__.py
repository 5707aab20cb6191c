"""Strategies that come with tweann, one a file."""
