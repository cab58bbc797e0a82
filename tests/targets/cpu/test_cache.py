"""The cache of compiled kernels: what it trusts, what it leaves alone, and that nothing in it can do harm."""

import os
import random as random_numbers
import shutil
import stat
import subprocess
import sys
import textwrap
import time
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tessella import files
from tessella.errors import CacheWarning
from tessella.targets.cpu import cache


@pytest.fixture
def named(tmp_path, monkeypatch):
    """The folder that the user named."""
    monkeypatch.setenv("TESSELLA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_unusable", set())
    monkeypatch.setattr(cache, "_unwritable", set())
    monkeypatch.setattr(cache, "_stores", 0)
    return tmp_path / "cache"


@pytest.fixture
def folder(named):
    """Where the entries lie."""
    return named / "kernels"


@pytest.fixture
def small(monkeypatch):
    """A cache of two kilobytes that looks at its size after every entry."""
    monkeypatch.setattr(cache, "LIMIT_BYTES", 2000)
    monkeypatch.setattr(cache, "_CHECK_EVERY", 1)


def python(code, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *arguments],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def entry(folder, key="key"):
    return folder / f"{key}.kernel"


# --- what is kept ---------------------------------------------------------------------------------


def test_entries_are_private_and_come_back(folder):
    assert cache.load("key") is None
    cache.store("key", b"code")
    assert cache.load("key") == b"code"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert entry(folder).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == ["key.kernel"]
    assert cache.remove("ke") == 1
    assert cache.remove("ke") == 0
    assert cache.load("key") is None


def test_it_is_bounded_and_the_last_used_stay(folder, small):
    for number in range(20):
        cache.store(f"key{number}", b"x" * 200)
        os.utime(entry(folder, f"key{number}"), (number, number))
        assert cache.load("key0") is not None  # used again and again
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 2000
    assert cache.load("key19") is not None
    assert cache.load("key1") is None


def test_what_is_too_large_is_not_kept(folder, monkeypatch):
    monkeypatch.setattr(cache, "LARGEST", 100)
    cache.store("key", b"x" * 101)
    assert not folder.exists() or not list(folder.iterdir())


def test_other_files_are_left_alone(named, folder, small):
    """Neither in the named folder nor in our own, whatever their age and size."""
    named.mkdir()
    folder.mkdir(mode=0o700)
    others = [place / name for place in (named, folder) for name in ("thesis", "ab" * 32, ".new-1")]
    for path in others:
        path.write_bytes(b"x" * 3000)
        os.utime(path, (1, 1))
    (named / "mine.kernel").write_bytes(b"x" * 3000)
    (folder / "notes.kernel").mkdir()
    for number in range(10):
        cache.store(f"key{number}", b"x" * 500)
    assert cache.remove("") > 0
    assert all(path.stat().st_size == 3000 for path in [*others, named / "mine.kernel"])
    assert (folder / "notes.kernel").is_dir()


def test_what_a_killed_process_began_is_removed_after_a_while(folder, small):
    cache.store("key", b"code")
    old, new = (folder / f"{files.UNFINISHED}{name}" for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    cache.store("other", b"code")
    assert not old.exists()
    assert new.exists()


# --- what is not trusted --------------------------------------------------------------------------


def test_the_digest_covers_the_key(folder):
    """An entry that takes another's place is none, though it is whole."""
    cache.store("one", b"code of one")
    cache.store("two", b"code of two")
    os.replace(entry(folder, "one"), entry(folder, "two"))
    assert cache.load("two") is None
    cache.store("two", b"code of two")
    assert cache.load("two") == b"code of two"


def test_the_digest_tells_keys_and_code_apart():
    assert cache._digest("ab", b"c") != cache._digest("a", b"bc")


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs owners of files")
def test_an_entry_of_another_user_is_not_trusted(folder, monkeypatch):
    cache.store("key", b"code")
    status, fstat = os.stat(entry(folder)), os.fstat

    def planted(handle):
        found = fstat(handle)
        other = (*found[:4], found.st_uid + 1, *found[5:])
        return os.stat_result(other) if found.st_ino == status.st_ino else found

    monkeypatch.setattr(os, "fstat", planted)
    assert cache.load("key") is None


def test_an_entry_that_others_may_write_is_not_trusted(folder):
    cache.store("key", b"code")
    entry(folder).chmod(0o620)
    assert cache.load("key") is None
    entry(folder).chmod(0o600)
    assert cache.load("key") == b"code"


def test_a_folder_that_others_may_write_is_not_trusted(folder):
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    with pytest.warns(CacheWarning, match="others may write to it: remove it"):
        cache.store("key", b"code")
    assert cache.load("key") is None


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs owners of files")
def test_a_folder_of_another_user_is_not_trusted(folder, monkeypatch):
    cache.store("key", b"code")
    own = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: own + 1)
    with pytest.warns(CacheWarning, match="it belongs to another user"):
        assert cache.load("key") is None


def test_a_link_in_the_place_of_the_folder_is_not_followed(named, folder, tmp_path):
    named.mkdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.warns(CacheWarning, match="it is not a folder"):
        cache.store("key", b"code")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_named_folder_may_be_shared(named, folder):
    """The folder below it is the user's own all the same."""
    named.mkdir()
    named.chmod(0o777)
    cache.store("key", b"code")
    assert cache.load("key") == b"code"
    assert folder.stat().st_mode & 0o777 == 0o700


# --- where it is ----------------------------------------------------------------------------------


def test_the_place(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TESSELLA_CACHE_DIR", "~/named")
    assert cache.folder() == tmp_path / "named" / "kernels"
    monkeypatch.delenv("TESSELLA_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.folder() == tmp_path / "xdg" / "tessella" / "kernels"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache.folder() == tmp_path / ".cache" / "tessella" / "kernels"


def test_without_a_home_no_folder_is_made(named, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user without an entry
    monkeypatch.delenv("TESSELLA_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with pytest.warns(CacheWarning, match="the home folder is not known"):
        cache.store("key", b"code")
    assert not list(tmp_path.iterdir())


def test_an_unusable_folder_warns_once_and_work_goes_on(tmp_path):
    (tmp_path / "file").write_text("")
    code = """
        import warnings
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            import tessella as ts
            assert (ts.ones(3) + 1).tolist() == [2, 2, 2]
            assert (ts.ones(3) * 3).tolist() == [3, 3, 3]
        ours = [w for w in seen if w.category.__name__ == "CacheWarning"]
        print(len(ours), ours[0].message)
    """
    result = python(code, TESSELLA_CACHE_DIR=str(tmp_path / "file" / "below"))
    assert result.stdout.startswith("1 "), result.stderr
    assert "cannot be used (Not a directory); kernels are compiled anew" in result.stdout
    assert "Set TESSELLA_CACHE_DIR" in result.stdout


def test_what_cannot_be_written_is_read(folder, monkeypatch):
    cache.store("key", b"code")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.warns(CacheWarning, match=r"cannot be written \(No space left on device\)"):
        cache.store("other", b"code")
    with warnings.catch_warnings(action="error"):
        cache.store("third", b"code")  # once is enough
    assert cache.load("key") == b"code"
    assert [path.name for path in folder.iterdir()] == ["key.kernel"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of resources")
def test_a_full_disk_leaves_nothing_unfinished(folder):
    """A limit on the size of files stands for the disk: writing breaks off in the middle of an entry."""
    code = """
        import resource, signal, sys, warnings
        from tessella.targets.cpu import cache
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            cache.store("small", b"x" * 1000)
            cache.store("large", b"x" * 100000)
        print(len(seen), cache.load("small") == b"x" * 1000, cache.load("large"))
    """
    done = python(code)
    assert done.stdout == "1 True None\n", done.stderr
    assert [path.name for path in folder.iterdir()] == ["small.kernel"]


# --- damage ---------------------------------------------------------------------------------------


def _flip(path, random):
    place = random.randrange(min(path.stat().st_size, 1000) or 1)
    with path.open("r+b") as file:
        old = file.read(place + 1)[-1:]
        file.seek(place)
        file.write(bytes([(old[0] if old else 0) ^ 1 << random.randrange(8)]))


def _cut(path, random):
    os.truncate(path, random.randrange(path.stat().st_size or 1))


def _append(path, random):
    with path.open("ab") as file:
        file.write(random.randbytes(random.randint(1, 100)))


def _scramble(path, random):
    path.write_bytes(random.randbytes(random.choice([0, 1, 31, 32, 33, 1000])))


def _huge(path, random):
    """Sixty gigabytes, of which the disk holds nothing."""
    os.truncate(path, 60 << 30)


def _folder(path, random):
    path.unlink()
    path.mkdir()
    if random.random() < 0.5:
        (path / "inside").write_text("")


def _fifo(path, random):
    path.unlink()
    os.mkfifo(path)


def _link(path, random):
    other = path.with_name("elsewhere")
    os.replace(path, other)
    path.symlink_to(random.choice([other, path, path.with_name("nowhere"), "/dev/zero"]))


def _socket(path, random):
    import socket

    path.unlink()
    here = os.getcwd()
    os.chdir(path.parent)  # the names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def _swap(path, random):
    cache.store("other", random.randbytes(50))
    os.replace(path.with_name("other.kernel"), path)


def _open_to_all(path, random):
    path.chmod(0o666)


def _gone(path, random):
    path.unlink()


DAMAGE = [
    _flip, _cut, _append, _scramble, _huge, _folder, _link, _swap, _open_to_all, _gone,
    *([_fifo, _socket] if hasattr(os, "mkfifo") else []),
]  # fmt: skip


@given(st.lists(st.sampled_from(DAMAGE), max_size=3), st.binary(max_size=200), st.randoms())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_entry_is_none_and_no_failure(folder, damage, code, random):
    """Whatever happens to an entry, it gives what was stored or nothing, at once and without a word."""
    shutil.rmtree(folder, ignore_errors=True)  # an example may have been broken off while it drew
    with warnings.catch_warnings(action="error"):
        cache.store("key", code)
        for harm in damage:
            if entry(folder).is_file() and not entry(folder).is_symlink():
                harm(entry(folder), random)
        possible = (code,) if not damage else (None,) if len(damage) == 1 else (None, code)
        assert cache.load("key") in possible  # two flips may mend each other
        cache.store("key", code)
        in_the_way = entry(folder).is_dir() and not entry(folder).is_symlink()
        assert cache.load("key") == (None if in_the_way else code)
    for path in folder.iterdir():
        assert not path.name.startswith(files.UNFINISHED)


def test_damaged_entries_are_compiled_anew(named, folder):
    """Every kernel of a program, each damaged in another way."""
    code = (
        "import tessella as ts; x = ts.ones(5); print(((x + 1) * x.sum() - ts.exp(x * 0)).tolist())"
    )
    expected = python(code).stdout
    assert expected == "[9.0, 9.0, 9.0, 9.0, 9.0]\n"
    entries = sorted(folder.iterdir())
    assert len(entries) >= 4
    for turn in range(len(DAMAGE) // len(entries) + 1):
        for path, harm in zip(entries, [*DAMAGE, *DAMAGE][turn * len(entries) :], strict=False):
            if path.is_file() and not path.is_symlink():
                harm(path, random_numbers.Random(turn))
        done = python(code)
        assert done.stdout == expected, done.stderr
        assert done.stderr == ""


def test_many_processes_at_once(folder):
    """They store, read and remove the same entries, in a cache that is always too full."""
    code = """
        import sys
        from tessella.targets.cpu import cache
        cache.LIMIT_BYTES, cache._CHECK_EVERY = 40_000, 1
        seen = 0
        for turn in range(300):
            key = f"key{turn * int(sys.argv[1]) % 37}"
            code = key.encode() * 300
            found = cache.load(key)
            assert found in (None, code)
            seen += found is not None
            cache.store(key, code)
            if turn % 50 == 49:
                cache.remove("key1")
        print(seen > 0)
    """
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(code), str(factor)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for factor in (1, 2, 3, 5)
    ]  # fmt: skip
    told = [process.communicate(timeout=120) for process in processes]
    assert [complaints for _, complaints in told] == [""] * len(told)
    assert "True\n" in [out for out, _ in told]  # what one stores another one may have removed
    assert all(path.suffix == ".kernel" for path in folder.iterdir())
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())
