"""Files appear whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from nabi.errors import ArgumentError, OutputError
from nabi.files import write_atomically


def test_bytes_and_text_arrive(tmp_path: Path) -> None:
    with write_atomically(tmp_path / "a") as file:
        file.write(b"\x00\xff")
    with write_atomically(tmp_path / "b", "w") as file:
        file.write("나비야")
    assert (tmp_path / "a").read_bytes() == b"\x00\xff"
    assert (tmp_path / "b").read_text(encoding="utf-8") == "나비야"


def test_missing_folders_are_made(tmp_path: Path) -> None:
    with write_atomically(tmp_path / "new" / "folder" / "file") as file:
        file.write(b"1")
    assert (tmp_path / "new" / "folder" / "file").read_bytes() == b"1"


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write_half() -> None:
        with write_atomically(path) as file:
            file.write(b"half of the new")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        write_half()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_name_is_not_there_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with write_atomically(path) as file:
        file.write(b"1")
        file.flush()
        assert not path.exists()
    assert path.exists()


def test_permissions_are_the_usual_ones_or_those_of_the_old_file(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with write_atomically(tmp_path / "new") as file:
            file.write(b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o644
    (tmp_path / "new").chmod(0o600)
    with write_atomically(tmp_path / "new") as file:
        file.write(b"")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


def test_a_link_keeps_pointing_at_its_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with write_atomically(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_file_in_place_of_the_folder_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(OutputError, match=r"path: cannot write .*file/inside"),
        write_atomically(tmp_path / "file" / "inside"),
    ):
        pass


def test_a_folder_in_place_of_the_file_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="expected a file name, got a folder"), write_atomically(tmp_path):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_may_not_be_written_is_an_output_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="Permission denied"), write_atomically(tmp_path / "file"):
            pass
    finally:
        tmp_path.chmod(0o700)


def test_a_name_that_cannot_be_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"), write_atomically(tmp_path / ("n" * 300)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_other_modes_are_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ArgumentError, match="mode: expected one of 'wb', 'w', got 'a'"),
        write_atomically(tmp_path / "file", "a"),
    ):
        pass
