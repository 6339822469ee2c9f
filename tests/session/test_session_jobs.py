import threading

import pytest
from psygnal import EmitLoopError, Signal

from napari_harmonize.errors import EngineError, SessionError, StoppedError
from napari_harmonize.events import Note, Stage
from napari_harmonize.session import Desk, InlineRunner
from napari_harmonize.session.backend import job
from napari_harmonize.session.history import History


@pytest.fixture
def desk():
    made = Desk()
    made.asked, made.stopped, made.said = [], [], []
    made.requested.connect(made.asked.append)
    made.stop_requested.connect(made.stopped.append)
    made.message.connect(lambda text, level: made.said.append((level, text)))
    return made


def test_an_answer_arrives_once(desk):
    got = []
    request = desk.ask("load", "Loading", job("x", lambda: 3), got.append)
    assert desk.asked == [request]
    assert desk.busy == {"load"}
    assert not request.heavy
    assert desk.complete(request.number, 3)
    assert not desk.complete(request.number, 4)
    assert got == [3]
    assert desk.busy == frozenset()


def test_a_newer_request_of_the_same_slot_overtakes(desk):
    got = []
    first = desk.ask("preview", "one", job("x", lambda: 1), got.append)
    second = desk.ask("preview", "two", job("x", lambda: 2), got.append)
    assert first.heavy
    assert desk.stopped == [first.number]
    assert not desk.receive(first.number, Stage("late"))
    assert not desk.fail(first.number, ValueError("late"))
    assert desk.complete(second.number, 2)
    assert got == [2]


def test_other_slots_go_on(desk):
    desk.ask("load", "one", job("x", lambda: 1), print, slot="load source")
    desk.ask("load", "two", job("x", lambda: 1), print, slot="load truth")
    assert desk.stopped == []
    desk.drop_all()
    assert len(desk.stopped) == 2


def test_errors_become_sentences(desk):
    request = desk.ask("load", "one", job("x", lambda: 1), print)
    desk.fail(request.number, MemoryError("full"))
    assert desk.said == [("error", "The work ends with a result. MemoryError: full.")]


def test_stopping_is_no_error(desk):
    request = desk.ask("load", "one", job("x", lambda: 1), print)
    desk.fail(request.number, StoppedError("stopped"))
    assert desk.said == []


def test_an_answer_that_cannot_be_applied_is_refused(desk):
    def refuse(_):
        raise SessionError("This cannot be")

    refused = []
    request = desk.ask("load", "one", job("x", lambda: 1), refuse, refuse=refused.append)
    desk.complete(request.number, 1)
    assert isinstance(refused[0], SessionError)


def test_a_listener_that_refuses_is_heard(desk):
    class Part:
        changed = Signal(int)

    def refuse(_):
        raise SessionError("This cannot be")

    part = Part()
    part.changed.connect(refuse)
    request = desk.ask("load", "one", job("x", lambda: 1), part.changed.emit)
    desk.complete(request.number, 1)
    assert desk.said == [("error", "This cannot be.")]


def test_a_listener_that_breaks_is_not_hidden(desk):
    class Part:
        changed = Signal(int)

    def broken(_):
        raise KeyError("a fault of ours")

    part = Part()
    part.changed.connect(broken)
    request = desk.ask("load", "one", job("x", lambda: 1), part.changed.emit)
    with pytest.raises(EmitLoopError):
        desk.complete(request.number, 1)


def test_notes_are_said(desk):
    request = desk.ask("load", "one", job("x", lambda: 1), print)
    desk.receive(request.number, Note("look", "warning"))
    assert desk.said == [("warning", "look")]


def test_another_thread_is_refused(desk):
    caught = []

    def try_it():
        try:
            desk.complete(1, None)
        except SessionError as error:
            caught.append(error)

    thread = threading.Thread(target=try_it)
    thread.start()
    thread.join()
    assert "Only the thread" in str(caught[0])


def test_the_inline_runner_runs_what_answers_ask_for():
    desk, got = Desk(), []
    runner = InlineRunner(desk)

    def again(value):
        got.append(value)
        if value < 3:
            desk.ask("load", "next", job("x", lambda: value + 1), again)

    with runner.running():
        desk.ask("load", "first", job("x", lambda: 1), again)
        assert got == []
    assert got == [1, 2, 3]


def test_the_inline_runner_fails_and_forgets(desk):
    runner, refused = InlineRunner(desk), []

    def broken():
        raise EngineError("It broke")

    desk.ask("load", "one", job("x", broken), print, refuse=refused.append)
    dropped = desk.ask("preview", "two", job("x", lambda: 1), refused.append)
    desk.drop(dropped.number)
    runner.run()
    assert [str(error) for error in refused] == ["It broke."]


def test_the_inline_runner_closes_a_job_nobody_waits_for(desk):
    runner, closed = InlineRunner(desk), []

    def long():
        try:
            yield Stage("one")
            desk.drop(request.number)
            yield Stage("two")
            yield Stage("three")
        finally:
            closed.append(True)

    request = desk.ask("load", "one", long(), print)
    runner.run()
    assert closed == [True]


def test_history_goes_back_and_forth():
    history = History(0).push(1).push(1).push(2)
    assert history.before == (0, 1)
    back = history.undo().undo()
    assert back.now == 0
    assert back.undo() == back
    assert back.redo().now == 1
    assert back.redo().redo().redo().now == 2
    assert back.push(9).after == ()
    assert len(History(0, limit=2).push(1).push(2).push(3).before) == 2
