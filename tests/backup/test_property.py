"""Whatever happens to an account, every point of its vault restores to what the pod held then."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.backup.test_run import Watched
from tests.backup.world import Content, World
from vaultd.errors import PlaceError

KINDS = ("post", "like", "contact", "photo", "person", "audience")
PASSIVE = ("person",)


class Account(RuleBasedStateMachine):
    """Random edits, runs, failing places and lost states on one account with two targets."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.places = {"main": Watched(), "second": Watched()}
        self.world = World(Path(self.folder.name) / "state", dict(self.places))
        self.points: dict[tuple[str, int], Content] = {}
        self.now: dict[str, Content] = {}

    @rule(kind=st.sampled_from(KINDS), number=st.integers(0, 5), text=st.text(max_size=3))
    def put(self, kind: str, number: int, text: str) -> None:
        self.world.alice.put(kind, f"{kind}{number}", {"text": text}, passive=kind in PASSIVE)

    @rule(kind=st.sampled_from(KINDS), number=st.integers(0, 5))
    def remove(self, kind: str, number: int) -> None:
        self.world.alice.records.pop((kind, f"{kind}{number}"), None)

    @rule(number=st.integers(0, 3), content=st.binary(max_size=5), there=st.booleans())
    def picture(self, number: int, content: bytes, there: bool) -> None:
        self.world.alice.photo(f"photo{number}", f"{number}.png")
        if there:
            self.world.source.files.setdefault(f"{number}.png", content)

    @rule(place=st.sampled_from(("main", "second")), before=st.booleans())
    def break_place(self, place: str, before: bool) -> None:
        error = PlaceError("The place is away.")
        self.places[place].error = error if before else None
        self.places[place].after = None if before else error

    @rule(place=st.sampled_from(("main", "second")))
    def mend_place(self, place: str) -> None:
        self.places[place].error = self.places[place].after = None

    @rule()
    def lose_state(self) -> None:
        self.world.lose_state()

    @rule()
    def back_up(self) -> None:
        report = self.world.run()
        content = self.world.alice.content()
        for result in report.accounts[0].targets:
            if result.status.value == "failed":
                continue
            restored = self._restored(result.target)
            assert _active(restored) == _active(content)
            if result.archive:
                assert restored == content
                self.points[result.target, result.sequence] = content

    @invariant()
    def every_point_restores(self) -> None:
        for (target, sequence), content in list(getattr(self, "points", {}).items())[-4:]:
            assert self._restored(target, str(sequence)) == content

    def _restored(self, target: str, at: str | None = None) -> Content:
        restored = self.world.restored(target=target, at=at)
        snapshot = self.world.snapshot(target=target, at=at)
        for body in restored.values():
            if "blob" in body:
                file = str(body["name"])
                assert b"".join(snapshot.open_blob(body)) == self.world.source.files[file]
            body.pop("blob", None)
            body.pop("blob_missing", None)
        return restored

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.state.close()
            self.folder.cleanup()


def _active(content: Content) -> Content:
    return {key: body for key, body in content.items() if key[0] not in PASSIVE}


TestAccount = Account.TestCase
TestAccount.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
