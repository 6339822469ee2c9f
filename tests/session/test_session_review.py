import json

import pytest

from napari_harmonize.errors import SessionError
from napari_harmonize.session import Decision, Item, Project, Tag, Verdict, lines
from napari_harmonize.session.review import ReviewPart


@pytest.fixture
def review():
    ticking = iter(range(0, 10000, 5))
    made = ReviewPart(clock=lambda: float(next(ticking)))
    for number in (1, 2, 3):
        made.add(Item(f"run-{number:04d}", "a", "model", "s" * 64, "r" * 64))
    made.set_rater(" MM ")
    return made


def decide(review, verdict, **changes):
    review.set_draft(**changes)
    return review.decide(verdict, crosshair=(1.0, 2.0, 3.0), windows={"result": (1.0, 0.5)})


def test_a_decision_is_saved_with_everything(review, tmp_path):
    review.keep_in(tmp_path / "review.jsonl")
    made = decide(review, "query", comment="slice jumps", tags={"slice jumps": Tag.PRESENT, "striping": Tag.ABSENT}, confidence=4)
    record = json.loads((tmp_path / "review.jsonl").read_text())
    assert record["verdict"] == "query"
    assert record["tags"] == {"slice jumps": "present", "striping": "absent"}
    assert record["crosshair_mm"] == [1.0, 2.0, 3.0]
    assert record["windows"] == {"result": [1.0, 0.5]}
    assert record["rater"] == "MM"
    assert record["seconds"] == 5.0
    assert Decision.from_json(record) == made


def test_a_comment_is_compulsory_unless_accepted(review):
    assert decide(review, Verdict.ACCEPT).verdict is Verdict.ACCEPT
    with pytest.raises(SessionError, match="comment is compulsory"):
        decide(review, Verdict.REJECT, comment="  ")


def test_a_decision_needs_an_item_and_a_rater(review):
    review.set_rater("")
    with pytest.raises(SessionError, match="has a rater"):
        decide(review, "accept")
    review.set_rater("MM")
    review.open(None)
    with pytest.raises(SessionError, match="about a result"):
        decide(review, "accept")


def test_a_change_of_mind_is_another_record(review, tmp_path):
    review.keep_in(tmp_path / "review.jsonl")
    decide(review, "accept")
    decide(review, "reject", comment="lesion lost")
    assert len((tmp_path / "review.jsonl").read_text().splitlines()) == 2
    assert review.latest("run-0003").verdict is Verdict.REJECT
    again = ReviewPart()
    assert again.keep_in(tmp_path / "review.jsonl") == []
    assert again.decisions == review.decisions


def test_a_broken_last_line_is_tolerated_and_not_extended(review, tmp_path):
    file = tmp_path / "review.jsonl"
    review.keep_in(file)
    decide(review, "accept")
    with file.open("a") as stream:
        stream.write('{"kind": "napari-harmonize.deci')
    again = ReviewPart()
    notes = again.keep_in(file)
    assert len(again.decisions) == 1
    assert "Line 2 of review.jsonl is broken" in notes[0]
    review.decide("accept", crosshair=(0, 0, 0), windows={})
    assert len(ReviewPart().keep_in(file)) == 1
    records, _ = lines.read(file)
    assert len(records) == 2


def test_foreign_records_are_left_out(tmp_path):
    file = tmp_path / "review.jsonl"
    lines.append(file, {"kind": "something else", "version": 1})
    lines.append(file, {"kind": "napari-harmonize.decision", "version": 1})
    review = ReviewPart()
    notes = review.keep_in(file)
    assert review.decisions == ()
    assert len(notes) == 2


def test_decisions_made_before_there_was_a_file_are_written(review, tmp_path):
    decide(review, "accept")
    review.keep_in(tmp_path / "review.jsonl")
    assert len(lines.read(tmp_path / "review.jsonl")[0]) == 1
    review.keep_in(tmp_path / "other.jsonl")
    assert review.decisions == ()


def test_walking_the_worklist(review):
    assert review.current == "run-0003"
    assert review.step(+1) == "run-0003"
    assert review.step(-1) == "run-0002"
    assert review.step(-1) == "run-0001"
    assert review.step(-1) == "run-0001"
    decide(review, "accept")
    assert review.next_open() == "run-0002"
    review.remove("run-0002")
    assert review.current is None
    assert review.step(+1) == "run-0001"
    assert ReviewPart().step(1) is None
    assert ReviewPart().next_open() is None


def test_blinded_order_is_seeded(review):
    for number in range(4, 12):
        review.add(Item(f"run-{number:04d}", "a", "model", "", ""))
    once, again = review.order(seed=3), review.order(seed=3)
    assert once == again
    assert once != review.items
    assert set(once) == set(review.items)


def test_the_draft_is_checked_and_follows_the_item(review):
    decide(review, "query", comment="look here")
    review.step(-1)
    assert review.draft.comment == ""
    review.open("run-0003")
    assert review.draft.comment == "look here"
    with pytest.raises(SessionError, match="known name"):
        review.set_draft(tags={"ugly": Tag.PRESENT})
    with pytest.raises(SessionError, match="whole number"):
        review.set_draft(confidence=7)


def test_the_project_appends(tmp_path):
    project = Project(tmp_path / "p")
    project.audit("load", name="a", sha256="s")
    assert Project(tmp_path / "p").records[0]["event"] == "load"
    assert project.review_file("M. M/../x").name.startswith("review-M-M-x-")
    assert project.review_file("日本").parent == project.folder
    assert project.sole_rater() == ""
    lines.append(project.review_file("MM"), {"rater": "MM"})
    assert project.sole_rater() == "MM"


def test_raters_never_share_a_file(tmp_path):
    project = Project(tmp_path)
    names = {project.review_file(rater).name for rater in ("A B", "A-B", "日", "本", "a b")}
    assert len(names) == 5


def test_a_project_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(SessionError, match="folder that can be written"):
        Project(tmp_path / "file")
