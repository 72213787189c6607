"""Clips from real files of every kind, and everything that can be wrong with them."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nabi.data import read_clip, read_clips
from nabi.errors import ArgumentError, FileFormatError, MissingFileError


def frames(count: int, width: int = 12, height: int = 12) -> list[Image.Image]:
    """Grey frames, each brighter than the one before."""
    shades = np.linspace(10, 240, count).astype(np.uint8)
    return [Image.fromarray(np.full((height, width, 3), shade, np.uint8)) for shade in shades]


def write_folder(folder: Path, count: int, **size: int) -> Path:
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames(count, **size)):
        frame.save(folder / f"frame{number + 1}.png")
    return folder


def write_animation(path: Path, count: int, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = frames(count)
    first.save(path, save_all=True, append_images=others, duration=40, loop=0, **options)
    return path


def rises(clip: np.ndarray) -> bool:
    return bool((np.diff(clip[:, 6, 6, 0].astype(int)) > 0).all())


# One clip ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.tiff"])
def test_animated_images(tmp_path: Path, name: str) -> None:
    options = {"lossless": True} if name.endswith("webp") else {}
    found = read_clip(write_animation(tmp_path / name, 5, **options), 12)
    assert found.frames.shape == (5, 12, 12, 3)
    assert found.frames.dtype == np.uint8
    assert (found.sizes, found.total) == (((12, 12),), 5)
    assert rises(found.frames)


def test_a_folder_is_in_the_order_of_the_numbers(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "clip", 11)  # frame10 comes after frame9, not after frame1
    (folder / "notes.txt").write_text("not a frame")
    (folder / ".hidden.png").write_bytes(b"not an image")
    found = read_clip(folder, 8)
    assert found.frames.shape == (11, 8, 8, 3)
    assert rises(found.frames[:, :7, :7].repeat(2, 1).repeat(2, 2))


def test_frames_of_several_sizes_are_resized_and_told(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "clip", 2, width=20, height=10)
    Image.new("L", (8, 8), 250).save(folder / "frame3.png")
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(folder / "frame4.png")
    found = read_clip(folder, 16)
    assert found.sizes == ((20, 10), (8, 8))
    assert found.frames.shape == (4, 16, 16, 3)
    assert found.frames[0, 0, 0].tolist() == [128, 128, 128]  # padding of what is not square
    assert found.frames[2:, 8, 8, 0].tolist() == [250, 255]  # grey, and white for transparency


def test_long_clips_are_thinned_evenly(tmp_path: Path) -> None:
    path = write_animation(tmp_path / "a.gif", 20)
    found = read_clip(path, 8, frames=5)
    whole = read_clip(path, 8).frames
    assert (len(found.frames), found.total) == (5, 20)
    np.testing.assert_array_equal(found.frames, whole[[0, 5, 10, 14, 19]])


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda at: at / "none.gif", MissingFileError, r"there is no file .*none\.gif"),
        (lambda at: write_animation(at / "a.gif", 1), FileFormatError, "a.gif has one frame; expected two"),
        (lambda at: write_folder(at / "clip", 1), FileFormatError, "clip has one frame; expected two"),
        (lambda at: write_folder(at / "clip", 0), FileFormatError, "has no images, so it is no clip"),
        (lambda at: written(at / "a.gif", b"GIF89a and no"), FileFormatError, r"a\.gif is (damaged|not)"),
        (lambda at: written(at / "a.txt", b"words"), FileFormatError, "not an image that Pillow can read"),
        (lambda at: written(at / "empty.gif", b""), FileFormatError, "not an image that Pillow can read"),
        (lambda at: cut(write_animation(at / "a.gif", 9)), FileFormatError, r"a\.gif is damaged"),
        (
            lambda at: written(write_folder(at / "clip", 3) / "frame2.png", b"x").parent,
            FileFormatError,
            r"frame2\.png is not an image",
        ),
    ],
)  # fmt: skip
def test_bad_clips(tmp_path: Path, make, kind: type[Exception], message: str) -> None:
    path = make(tmp_path)
    with pytest.raises(kind, match=message):
        read_clip(path, 8)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def cut(path: Path) -> Path:
    return written(path, path.read_bytes()[:-60])


def test_bad_numbers(tmp_path: Path) -> None:
    path = write_animation(tmp_path / "a.gif", 3)
    with pytest.raises(ArgumentError, match="size: expected"):
        read_clip(path, 0)
    with pytest.raises(ArgumentError, match="frames: expected"):
        read_clip(path, 8, frames=1)


# Videos -----------------------------------------------------------------------------------------------------


def test_a_video_without_its_package_says_how_to_get_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    path = written(tmp_path / "a.mp4", b"")
    with pytest.raises(ArgumentError, match=r"a\.mp4 is a video file.*pip install 'nabi\[video\]'"):
        read_clip(path, 8)
    # Not a bad clip, of which others may be good: nothing would be left of them.
    write_animation(tmp_path / "set" / "a" / "1.gif", 3)
    written(tmp_path / "set" / "a" / "2.mp4", b"")
    with pytest.raises(ArgumentError, match=r"nabi\[video\]"):
        read_clips(tmp_path / "set", 8)


def test_videos(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        for image in frames(8, 32, 16):
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())
    found = read_clip(path, 12, frames=4)
    assert (found.sizes, found.total, len(found.frames)) == (((32, 16),), 8, 4)
    assert rises(found.frames)
    with pytest.raises(FileFormatError, match="not a video that can be read"):
        read_clip(written(tmp_path / "b.mp4", b"no video"), 8)


# Folders of clips -------------------------------------------------------------------------------------------


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    write_animation(tmp_path / "up" / "a.gif", 4)
    write_folder(tmp_path / "up" / "b", 3)
    write_animation(tmp_path / "down" / "10.gif", 3)
    write_animation(tmp_path / "down" / "9.gif", 70)
    (tmp_path / ".git").mkdir()
    (tmp_path / "down" / "readme.txt").write_text("about the clips")
    found = read_clips(tmp_path, 12)
    assert found.names == ("down/9.gif", "down/10.gif", "up/a.gif", "up/b")
    assert found.labels == ["down", "down", "up", "up"]
    assert [len(one) for one in found.clips] == [64, 3, 4, 3]
    assert (found.sizes, found.thinned, found.groups, found.skipped) == ({(12, 12): 4}, 1, None, ())


def test_a_table_of_labels(tmp_path: Path) -> None:
    for number in range(4):
        write_animation(tmp_path / "all" / f"{number}.gif", 3)
    (tmp_path / "labels.csv").write_text(
        "Clip,group,Label\nall/0.gif,ann,up\nall/1.gif,bob,down\nall/2.gif,,up\nall/3.gif,bob,\nall/9.gif,x,up\n"
    )
    found = read_clips(tmp_path, 8)
    assert found.names == ("all/0.gif", "all/1.gif", "all/2.gif")
    assert found.labels == ["up", "down", "up"]
    assert found.groups == ["ann", "bob", "row 3"]
    assert found.skipped == (
        f"{tmp_path / 'labels.csv'}, row 4 has no label",
        f"there is no file {tmp_path / 'all/9.gif'}",
    )


def test_a_table_may_name_clips_elsewhere(tmp_path: Path) -> None:
    for number in range(2):
        write_animation(tmp_path / "all" / f"{number}.gif", 3)
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "labels.csv").write_text(
        f"clip,label\n../all/0.gif,up\n{tmp_path}/all/1.gif,down\n"
    )
    assert read_clips(tmp_path / "table", 8).names == ("../all/0.gif", f"{tmp_path}/all/1.gif")


def test_bad_clips_are_left_out_and_named(tmp_path: Path) -> None:
    for number in range(5):
        write_animation(tmp_path / "up" / f"{number}.gif", 3)
    write_animation(tmp_path / "up" / "still.gif", 1)
    (tmp_path / "up" / "empty").mkdir()
    written(tmp_path / "up" / "text.gif", b"words")
    frames(1)[0].save(tmp_path / "up" / "picture.jpg")
    found = read_clips(tmp_path, 8)
    assert len(found.clips) == 5
    at = tmp_path / "up"
    assert found.skipped == (
        f"the folder {at / 'empty'} has no images, so it is no clip",
        f"{at / 'picture.jpg'} has one frame; expected two or more, to show a motion",
        f"{at / 'still.gif'} has one frame; expected two or more, to show a motion",
        f"{at / 'text.gif'} is not an image that Pillow can read",
    )
    write_animation(tmp_path / "up" / "still2.gif", 1)
    with pytest.raises(ArgumentError, match=r"folder: 5 of 10 clips cannot be used: the folder .* has no"):
        read_clips(tmp_path, 8)


@pytest.mark.parametrize(
    ("files", "kind", "message"),
    [
        ({}, ArgumentError, r"expected in .* a folder for each class .* got no clips$"),
        ({"a.gif": b"", "b.gif": b""}, ArgumentError, "got no clips, only 2 files beside each other"),
        ({"labels.csv": b"file,sort\na.gif,up\n"}, ArgumentError, "expected the columns clip and label, got"),
        ({"labels.csv": b"clip,label\n"}, FileFormatError, "labels.csv"),
        ({"labels.csv": b'clip,label\n"a.gif,up\n'}, FileFormatError, "labels.csv"),
    ],
)  # fmt: skip
def test_folders_without_clips(tmp_path: Path, files, kind: type[Exception], message: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(kind, match=message):
        read_clips(tmp_path, 8)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="folder: expected the folder of the clips, got"):
        read_clips(tmp_path / "none", 8)
