"""What every storage must do."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tweann.errors import StorageError
from tweann.interfaces import Event, Storage
from tweann.testing.events import (
    ancestors,
    champion,
    close_to,
    finished,
    generation,
    lineage,
    started,
    whole_run,
)
from tweann.testing.subjects import importable

Open = Callable[..., Storage]

#: Appends events until it is killed; says how far it is after each flush.
_WRITER = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from importlib import import_module
from tweann.testing.events import generation
module, _, name = sys.argv[2].partition(":")
storage_class = import_module(module)
for part in name.split("."):
    storage_class = getattr(storage_class, part)
storage = storage_class(storage_class.Settings(**json.loads(sys.argv[3])), "r")
for k in range(10**9):
    storage.append([generation(k)])
    if k % 10 == 9:
        storage.flush()
        print(k, flush=True)
"""


class StorageContract:
    """Subclass it and set ``storage``; all of these tests must then hold.

    A fixture ``open_storage(run="r", **settings)`` that is overridden does instead of the attributes.

    Attributes:
        storage: your class, at the top level of a module.
        settings: of the section [storage]; ``{run_dir}`` in ``url`` becomes a folder of the test's.
        caps: by kind of event, the key of Settings that says how many of them are kept.
    """

    storage: ClassVar[type[Any]]
    settings: ClassVar[Mapping[str, Any]] = {}
    caps: ClassVar[Mapping[str, str]] = {"champion": "max_champions", "plugin.note": "max_events"}

    def settings_in(self, folder: Path, **settings: Any) -> dict[str, Any]:
        """Return the settings of a storage that keeps its files in ``folder``."""
        assert hasattr(self, "storage"), (
            f"set `storage = YourStorage` in class {type(self).__name__}, or override the fixture open_storage"
        )
        fields = self.storage.Settings.model_fields
        given = {**self.settings, **settings}
        for key in settings:
            assert key in fields, (
                f"Settings of {self.storage.__name__} has no key {key!r}: what can grow needs a cap; where yours "
                "has another name, say so in `caps` of the test class"
            )
        if "url" in fields:
            url = given.get("url", fields["url"].default)
            assert isinstance(url, str), (
                "set `settings = {'url': '…{run_dir}…'}` in the test class: where your storage may write"
            )
            given["url"] = url.replace("{run_dir}", str(folder))
        return given

    @pytest.fixture
    def open_storage(self, tmp_path: Path) -> Iterator[Open]:
        """A function that opens the storage: for a run, with settings."""
        opened: list[Storage] = []

        def open_one(run: str = "r", **settings: Any) -> Storage:
            made: Storage = self.storage(
                self.storage.Settings(**self.settings_in(tmp_path, **settings)), run
            )
            opened.append(made)
            return made

        yield open_one
        for storage in opened:
            with suppress(StorageError):
                storage.close()

    @pytest.fixture
    def durable(self, open_storage: Open) -> bool:
        """Whether events outlive the process: a class of which they do not says ``durable = False``."""
        return bool(getattr(open_storage(), "durable", True))

    def test_it_is_a_storage(self, open_storage: Open) -> None:
        """It has Settings and all methods."""
        assert isinstance(open_storage(), Storage), (
            "a storage needs Settings, append, events, rewind, flush and close"
        )

    def test_events_come_back_as_they_were(self, open_storage: Open) -> None:
        """Events come back as they were, in order, those of plugins too."""
        storage = open_storage()
        storage.append(whole_run()[:3])
        storage.append(whole_run()[3:])
        for event, back in zip(whole_run(), storage.events(), strict=True):
            assert event == back, f"event {event.sequence} ({event.kind}) came back as {back}"

    def test_events_of_one_kind_come_back_in_order(self, open_storage: Open) -> None:
        """Events of one kind come back alone and in order; of an unknown kind there are none."""
        storage = open_storage()
        storage.append(whole_run())
        for kind in {event.kind for event in whole_run()}:
            expected = [event for event in whole_run() if event.kind == kind]
            assert list(storage.events(kind)) == expected, f"events({kind!r}) are others"
        assert list(storage.events("no such kind")) == [], "events of a kind that never happened"

    def test_what_was_just_appended_can_be_read(self, open_storage: Open) -> None:
        """What was just appended can be read, flushed or not."""
        storage = open_storage()
        for k in range(5):
            storage.append([generation(k)])
            assert [event.sequence for event in storage.events()] == list(range(k + 1)), (
                "events() must give what waits as well: flush first"
            )

    def test_appending_nothing_is_allowed(self, open_storage: Open) -> None:
        """Appending nothing is allowed."""
        storage = open_storage()
        storage.append([])
        assert list(storage.events()) == []

    def test_a_number_that_is_none_comes_back_as_none(self, open_storage: Open) -> None:
        """A NaN, such as the best fitness of a generation that failed, comes back as NaN or null."""
        storage = open_storage()
        events = [
            generation(0, best=math.nan, coverage=math.nan),
            champion(1, fitness=math.nan),
            Event(2, "plugin.note", 0, {"x": math.nan}),
        ]
        storage.append(events)
        for event, back in zip(events, storage.events(), strict=True):
            assert close_to(event.data, back.data), f"{event.data} came back as {back.data}"
        best = next(storage.events("generation")).data["best"]
        assert math.isnan(best), f"the fitness NaN of a generation came back as {best!r}"

    @pytest.mark.parametrize("again", [generation(3), champion(3), finished(2), generation(0)])
    def test_a_sequence_number_is_taken_once(self, open_storage: Open, again: Event) -> None:
        """A sequence number that is not higher than all before it is refused with a StorageError."""
        storage = open_storage()
        storage.append([generation(k) for k in range(4)])
        with pytest.raises(StorageError, match=f"event {again.sequence} .* after event 3"):
            storage.append([again])
        storage.append([generation(4)])
        assert [event.sequence for event in storage.events()] == [0, 1, 2, 3, 4]

    def test_a_run_goes_on_from_where_it_was_rewound_to(self, open_storage: Open) -> None:
        """Rewound to a sequence number, it forgets the events from there on, and takes others."""
        storage = open_storage()
        storage.append([started(0), *(generation(k) for k in range(1, 6)), champion(6)])
        storage.rewind(4)
        assert [event.sequence for event in storage.events()] == [0, 1, 2, 3]
        with pytest.raises(StorageError, match=r"event 3 .* after event 3"):
            storage.append([generation(3)])
        storage.append([generation(4), champion(5)])
        assert [event.sequence for event in storage.events()] == [0, 1, 2, 3, 4, 5]
        storage.rewind(9)
        assert len(list(storage.events())) == 6, "rewind to what is yet to come must do nothing"

    def test_events_before_a_wrong_one_are_kept(self, open_storage: Open) -> None:
        """Events before a wrong one are kept, those after it are not."""
        storage = open_storage()
        with pytest.raises(StorageError):
            storage.append([generation(0), generation(1), generation(1), generation(2)])
        assert [event.sequence for event in storage.events()] == [0, 1]

    def test_flush_and_close_may_come_at_any_time(self, open_storage: Open) -> None:
        """Flush and close may come at any time and more than once; a closed storage takes nothing."""
        storage = open_storage()
        storage.flush()
        storage.append([generation(0)])
        storage.flush()
        storage.flush()
        storage.close()
        storage.close()
        with pytest.raises(StorageError, match="closed"):
            storage.append([generation(1)])

    def test_champions_outlive_many_generations(self, open_storage: Open) -> None:
        """Champions are not pushed out by other events."""
        key = self.caps["plugin.note"]
        storage = open_storage(**{key: 10})
        storage.append([champion(0)])
        storage.append([generation(k) for k in range(1, 100)])
        assert list(storage.events("champion")) == [champion(0)], (
            "the champion is gone: keep champions apart from what comes every generation"
        )

    def test_lineage_is_kept_from_where_the_newest_piece_says(self, open_storage: Open) -> None:
        """Pieces of lineage come back, and ancestors; older ones than ``keep_from`` may go, no others."""
        storage = open_storage()
        events = [lineage(0), ancestors(1), lineage(2), lineage(3), lineage(4, keep_from=2)]
        for event in events:
            storage.append([event])
            storage.flush()
        kept = list(storage.events("lineage"))
        assert [event for event in kept if event.sequence >= 2] == [lineage(2), *events[3:]], (
            f"pieces from event 2 on must be left, came {[event.sequence for event in kept]}"
        )
        assert list(storage.events("ancestors")) == [ancestors(1)]
        storage.rewind(4)
        assert [event.sequence for event in storage.events("lineage")][-1] == 3

    @pytest.mark.parametrize("kind", ["champion", "plugin.note"])
    def test_the_newest_events_are_kept(self, open_storage: Open, kind: str) -> None:
        """What can grow has a cap; at the cap the newest events are kept."""
        storage = open_storage(**{self.caps[kind]: 5})
        for k in range(20):
            event = champion(k) if kind == "champion" else Event(k, kind, k, {"k": k})
            storage.append([event])
        kept = [event.sequence for event in storage.events(kind)]
        assert kept == [15, 16, 17, 18, 19], (
            f"of 20 events of kind {kind!r} and a cap of 5 ({self.caps[kind]}) the last 5 must be left, "
            f"came {kept}"
        )

    def test_a_run_is_taken_up_where_it_was(self, open_storage: Open, durable: bool) -> None:
        """Opened again, it has all events, and goes on after the last."""
        if not durable:
            pytest.skip("it says durable = False")
        storage = open_storage()
        storage.append(whole_run())
        storage.close()
        storage = open_storage()
        assert list(storage.events()) == whole_run(), "other events after it was closed and opened"
        with pytest.raises(StorageError, match="after event 7"):
            storage.append([generation(7)])
        storage.append([generation(8)])
        assert [event.sequence for event in storage.events()] == list(range(9))

    def test_runs_do_not_meet(self, open_storage: Open) -> None:
        """Two runs in one place do not see each other's events."""
        first, second = open_storage("first"), open_storage("second")
        first.append([generation(k) for k in range(3)])
        first.flush()
        second.append([generation(0)])
        assert [event.sequence for event in second.events()] == [0]
        assert [event.sequence for event in first.events()] == [0, 1, 2]

    def test_a_killed_process_leaves_what_was_flushed(
        self, tmp_path: Path, open_storage: Open, durable: bool
    ) -> None:
        """After a kill at any instant all that was flushed is there, without a gap."""
        if not (durable and hasattr(self, "storage")):
            pytest.skip("it says durable = False, or the test class gives no `storage`")
        folder = tmp_path / "killed"
        folder.mkdir()
        settings = self.settings_in(folder)
        arguments = [
            json.dumps(sys.path),
            importable(self.storage, "storage"),
            json.dumps(settings),
        ]
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            for _ in range(5):
                line = process.stdout.readline() if process.stdout else ""
                assert line, f"it cannot be used in a fresh process: {process.communicate()[1]}"
            process.kill()
            rest = process.communicate()[0].split("\n")[:-1]
        finally:
            process.kill()
            process.wait()
        flushed = max(int(number) for number in [line, *rest])
        storage: Storage = self.storage(self.storage.Settings(**settings), "r")
        try:
            found = [event.sequence for event in storage.events()]
            assert found == list(range(len(found))), "events are missing in the middle"
            assert len(found) > flushed, f"event {flushed} was flushed, and {len(found)} are left"
            storage.append([generation(len(found))])
        finally:
            storage.close()
