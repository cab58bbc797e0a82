"""Files are written whole, or not at all, wherever they go."""

import errno
import os
import stat
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

import tessella as ts
from tessella import files


@pytest.fixture
def place(tmp_path):
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_was_there_is_replaced(place):
    path = place / "a"
    files.write(path, "grüße")
    assert path.read_bytes() == "grüße".encode()
    path.chmod(0o640)
    files.write(str(path), b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert names(place) == ["a"]


def test_new_files_have_the_permissions_of_new_files(place):
    before = os.umask(0o027)
    try:
        files.write(place / "a", "")
    finally:
        os.umask(before)
    assert stat.S_IMODE((place / "a").stat().st_mode) == 0o640
    files.replace(place / "b", b"", mode=0o600)
    assert stat.S_IMODE((place / "b").stat().st_mode) == 0o600


def test_a_link_stays_one(place):
    for name in ("there", "nowhere yet"):
        (place / "link").unlink(missing_ok=True)
        (place / "link").symlink_to(place / name)
        files.write(place / "link", "text")
        assert (place / "link").is_symlink()
        assert (place / name).read_text() == "text"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_written_to(place):
    os.mkfifo(place / "pipe")
    read = []
    reader = threading.Thread(target=lambda: read.append((place / "pipe").read_bytes()))
    reader.start()
    files.write(place / "pipe", b"x" * 300_000)
    reader.join(timeout=60)
    assert read == [b"x" * 300_000]
    assert names(place) == ["pipe"]


def test_standard_output_is_written_to(place):
    code = "from tessella import files; files.write('/dev/stdout', 'text')"
    with (place / "out").open("w") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    assert (place / "out").read_text() == "text"


@pytest.mark.parametrize("part", ["write", "replace"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.ENOSPC, "No space left")])
def test_what_breaks_off_leaves_the_old_file(place, part, error, monkeypatch):
    (place / "a").write_text("old")

    def breaks(*_):
        raise error

    with monkeypatch.context() as patched:
        if part == "replace":
            patched.setattr(os, "replace", breaks)
        else:
            patched.setattr(os, "urandom", lambda n: b"x" * n)
            patched.setattr(os, "chmod", breaks)
        with pytest.raises((KeyboardInterrupt, OSError)) as caught:
            files.write(place / "a", "new")
    assert isinstance(caught.value, type(error) if isinstance(error, OSError) else error)
    if isinstance(error, OSError):
        assert caught.value.filename == str(place / "a")
    assert (place / "a").read_text() == "old"
    assert names(place) == ["a"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [(".", IsADirectoryError), ("none/a", FileNotFoundError), ("file/a", NotADirectoryError)],
)
def test_what_cannot_be_written_is_named(place, path, kind):
    (place / "file").write_text("")
    with pytest.raises(kind) as caught:
        files.write(place / path, "text")
    assert caught.value.filename == str(place / path) or path == "."
    assert names(place) == ["file"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_device():
    with pytest.raises(OSError, match="/dev/full") as caught:
        files.write("/dev/full", "text")
    assert caught.value.errno == errno.ENOSPC


def test_names_that_are_no_text_can_stand_in_a_file(place):
    files.write(place / "a", "name \udcff")  # as os.fsdecode gives it
    assert (place / "a").read_text() == "name \\udcff"


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of resources")
def test_reports_on_a_full_disk(place):
    """A limit on the size of files stands for the disk."""
    code = """
        import resource, sys
        import tessella as ts
        f = ts.jit(lambda x: (x * 2.0).sum())
        x = ts.ones((64, 64))
        found = f.explain(x)
        with ts.profile() as profile:
            f(x)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
        for write, name in ((found.to_html, "page"), (profile.to_chrome, "trace")):
            try:
                write(sys.argv[1] + "/" + name)
            except OSError as error:
                print(error.strerror, error.filename)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(place)], capture_output=True, text=True
    )
    assert done.stdout == f"File too large {place}/page\nFile too large {place}/trace\n", (
        done.stderr
    )
    assert names(place) == []


def test_pieces_become_one_file(place):
    with files.writing(place / "a") as file:
        for piece in (b"one", memoryview(b" two"), np.arange(3, dtype=np.uint8)):
            file.write(piece)
        assert not (place / "a").exists()
    assert (place / "a").read_bytes() == b"one two\0\1\2"
    assert names(place) == ["a"]


def broken_off(path, error):
    with files.writing(path, durable=True) as file:
        file.write(b"new")
        raise error


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (ValueError("mine"), ""),
        (FileNotFoundError(2, "gone", "other"), "other"),
        (OSError(5, "broken"), "a"),
    ],
)
def test_what_fails_inside_leaves_the_old_file(place, error, named):
    (place / "a").write_text("old")
    with pytest.raises(type(error), match=r"mine|gone|broken") as caught:
        broken_off(place / "a", error)
    assert os.path.basename(getattr(caught.value, "filename", None) or "") == named
    assert (place / "a").read_text() == "old"
    assert names(place) == ["a"]


def test_pieces_go_into_a_pipe(place):
    os.mkfifo(place / "pipe")
    read = []
    reader = threading.Thread(target=lambda: read.append((place / "pipe").read_bytes()))
    reader.start()
    with files.writing(place / "pipe", durable=True) as file:
        assert file.write(np.arange(3, dtype=np.int16)) == 6
        file.write(b"x" * 300_000)
    reader.join(timeout=60)
    assert read == [b"\0\0\1\0\2\0" + b"x" * 300_000]


def test_durable_files_are_on_the_disk_before_they_take_their_place(place, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (order.append("fsync"), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda *paths: (order.append("replace"), replace(*paths)))
    monkeypatch.chdir(place)
    with files.writing("a", durable=True) as file:
        file.write(b"new")
    assert order == ["fsync", "replace", "fsync"]
    files.write("b", b"not so")
    assert order == ["fsync", "replace", "fsync", "replace"]


def test_folders_that_cannot_be_put_down(place, monkeypatch):
    """Some file systems have no fsync of a folder, and need none; elsewhere it may fail."""
    fsync = os.fsync

    def failing(code):
        def fails_for_folders(file):
            if stat.S_ISDIR(os.fstat(file).st_mode):
                raise OSError(code, os.strerror(code))
            fsync(file)

        monkeypatch.setattr(os, "fsync", fails_for_folders)

    failing(errno.EINVAL)
    with files.writing(place / "a", durable=True) as file:
        file.write(b"new")
    assert (place / "a").read_text() == "new"
    failing(errno.EIO)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)) as caught:
        broken_off_by_nothing(place / "a")
    assert caught.value.filename == str(place / "a")


def broken_off_by_nothing(path):
    with files.writing(path, durable=True) as file:
        file.write(b"newer")


def test_reports_are_written(place):
    f = ts.jit(lambda x: (x * 2.0).sum())
    f.explain(ts.ones(3)).to_html(place / "page")
    with ts.profile() as profile:
        f(ts.ones(3))
    profile.to_chrome(place / "trace")
    assert (place / "page").read_text().startswith("<!doctype html>")
    assert (place / "trace").read_text().startswith('{"traceEvents"')
    assert names(place) == ["page", "trace"]
