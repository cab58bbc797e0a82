"""Run folders: one process, one run, and nothing lost when they cannot be written."""

import json
import os
import resource
import signal

import pytest

import tessella as ts
from tessella import errors, optim
from tests.train import kill
from tests.train.test_resume import Broken, run, without_times


def adam(model):
    return optim.Adam(model.parameters(), lr=0.01)


def doing(actions):
    """A callback that does something after a step."""

    def callback(event):
        if event.kind == "step" and event.step in actions:
            actions[event.step]()

    return callback


def test_a_folder_that_is_in_use_is_refused_with_the_process(tmp_path):
    def again():
        with pytest.raises(errors.RunFolderError, match=f"is in use by the process {os.getpid()};"):
            run(adam, tmp_path)

    run(adam, tmp_path, also=[doing({4: again})])
    assert len(run(adam, tmp_path).steps) == 10  # and it is free afterwards


def test_the_folder_of_another_run_is_refused_with_the_difference(tmp_path):
    run(adam, tmp_path)
    with pytest.raises(errors.RunFolderError) as refused:
        run(lambda model: optim.Adam(model.parameters(), lr=0.1), tmp_path, clip_norm=2.0)
    assert str(refused.value) == (
        f"folder: {tmp_path} belongs to another run; give another folder, or ask for the same:\n"
        '  optimizer.lr: "0.01" there, "0.1" now\n'
        "  clip_norm: null there, 2.0 now"
    )


def test_a_run_may_be_made_longer(tmp_path):
    run(adam, tmp_path)
    assert len(run(adam, tmp_path, steps=14).steps) == 14


def test_a_folder_that_cannot_be_written_is_said_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        OSError, match=r"the run folder cannot be written .*; give another by folder="
    ):
        run(adam, tmp_path / "file" / "run")


def limited(size):
    """Let no file become larger, as on a disk that is full."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


free = limited(resource.RLIM_INFINITY)


def test_a_full_disk_loses_nothing(tmp_path):
    whole = run(adam, tmp_path / "whole")
    try:
        with pytest.warns(
            errors.CheckpointWarning, match="training goes on, and it is tried again"
        ):
            found = run(adam, tmp_path / "full", also=[doing({4: limited(500), 8: free})])
    finally:
        free()
    assert without_times(found.lines) == without_times(whole.lines)
    assert kill.lines(tmp_path / "full") == kill.lines(tmp_path / "whole")


def test_a_disk_that_stays_full_ends_with_an_error_and_the_checkpoint_before(tmp_path):
    whole = run(adam, tmp_path / "whole")
    try:
        with pytest.warns(errors.CheckpointWarning), pytest.raises(OSError, match="too large"):
            run(adam, tmp_path / "full", also=[doing({4: limited(500)})])
    finally:
        free()
    found = run(adam, tmp_path / "full")
    assert without_times(found.lines) == without_times(whole.lines)
    assert kill.lines(tmp_path / "full") == kill.lines(tmp_path / "whole")


def test_checkpoints_are_bounded_and_hold_the_model(tmp_path):
    seen = []
    history = run(adam, tmp_path, also=[lambda event: seen.append(event)], keep=1)
    names = sorted(entry.name for entry in (tmp_path / "checkpoints").iterdir())
    assert names == ["best.safetensors", "step-00000010.safetensors"]
    state = ts.load(tmp_path / "checkpoints" / "step-00000010.safetensors")
    for name, value in seen[-1].model.state_dict().items():
        assert (state["model"][name] == value).all()
    best = ts.load(tmp_path / "checkpoints" / "best.safetensors")
    assert best["place"]["step"] == history.best["step"]
    assert [event.path.name for event in seen if event.kind == "checkpoint"][-1] == names[1]


def test_a_damaged_checkpoint_is_told_of_and_nothing_older_taken(tmp_path):
    run(adam, tmp_path)
    last = tmp_path / "checkpoints" / "step-00000010.safetensors"
    last.write_bytes(last.read_bytes()[:200])
    with pytest.raises(
        errors.RunFolderError, match="take it away, and the run goes on from the one before"
    ):
        run(adam, tmp_path)
    last.unlink()
    assert len(run(adam, tmp_path).steps) == 10


def test_lines_that_were_changed_are_noticed(tmp_path):
    run(adam, tmp_path)
    (tmp_path / "metrics.jsonl").write_text("")
    with pytest.raises(errors.RunFolderError, match="is not what it was when the last checkpoint"):
        run(adam, tmp_path)


def test_the_record_says_what_ran(tmp_path):
    run(adam, tmp_path)
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["asked"]["model"]["parameters"]["0.weight"] == "float32[8, 2]"
    assert record["sessions"][0]["versions"]["tessella"] == ts.__version__


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_ends_after_the_step_and_the_run_goes_on(tmp_path, capfd):
    whole = run(adam, tmp_path / "whole")
    found = run(adam, tmp_path / "ended", also=[doing({5: interrupt})])
    assert found.interrupted and found.lines[-1]["step"] == 5
    assert "Ctrl-C again ends at once" in capfd.readouterr().err
    assert ts.load(tmp_path / "ended/checkpoints/step-00000005.safetensors")["place"]["step"] == 5
    again = run(adam, tmp_path / "ended")
    assert not again.interrupted
    assert without_times(again.lines) == without_times(whole.lines)


def test_ctrl_c_twice_ends_at_once(tmp_path):
    def twice():
        interrupt()
        interrupt()

    with pytest.raises(KeyboardInterrupt):
        run(adam, tmp_path, also=[doing({5: twice})])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(Broken):  # the folder is free
        run(adam, tmp_path, stop_at=7)
