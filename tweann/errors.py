"""The errors that tweann raises: each says what was expected, what came, where, and what to do."""

from __future__ import annotations


class TweannError(Exception):
    """Base of all errors of tweann; ``exit_status`` is what the command line ends with."""

    exit_status = 3


class ConfigError(TweannError, ValueError):
    """A configuration, or a call, that cannot be meant: a fault of the user's to correct."""

    exit_status = 2


class PluginError(TweannError):
    """A plugin that is missing, broken, or clashes with another."""

    exit_status = 2


class TaskError(TweannError):
    """A task whose definition or data cannot be used."""


class GenomeError(TweannError, ValueError):
    """A genome that breaks a rule: unsorted, dangling, over its caps."""


class FormatError(TweannError, ValueError):
    """Bytes from a file or the wire that do not decode to what they claim to be."""


class StorageError(TweannError):
    """A storage that cannot be opened, read or written."""


class NotNowError(StorageError):
    """Something that cannot be written just now, and may be later: the disk is full, or the database is away."""


class MissingExtraError(TweannError, ImportError):
    """An optional package that is not installed; the message names the ``pip install`` line."""

    exit_status = 2
