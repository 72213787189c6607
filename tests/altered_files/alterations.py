"""Files altered by chance: their bytes, what they say, what they hold."""

import json
import random
import struct
from collections.abc import Callable
from typing import Any, NamedTuple


class Tensor(NamedTuple):
    """One entry of the container."""

    name: str
    dtype: str
    shape: list[int]
    data: bytes


_SIZES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2, "U8": 1, "I8": 1, "BOOL": 1}

# Text that stands in the place of a value.
JUNK = (
    "null", "true", "false", "0", "-1", "1", "2", "3", "7", "1000000000", "9007199254740993",
    "18446744073709551616", "1e400", "-0.5", "0.1", "NaN", "Infinity", "-Infinity", '""', '"abc"', '"0"',
    '"\\ud800"', '"\\u0000"', '"tanh"', "[]", "{}", "[1]", "[[]]", "[null]", "[-1, 5]", "[1000000000]",
    '{"a": 1}', '{"tensor": 0}', '{"tuple": [1]}', '{"class_name": "Dense", "config": {}}',
    '{"class_name": "Sequential", "config": {"name": "s", "layers": []}}', "9" * 5000,
    "[" * 500 + "]" * 500, '{"layer": ' * 300 + "1" + "}" * 300, '"' + "x" * 100_000 + '"',
    "[" + "0, " * 20_000 + "0]", '"__class__"', '"torch.load"', '"../../etc/passwd"', '"float16"', '"int8"',
)  # fmt: skip


def unpack(content: bytes) -> tuple[str, list[Tensor]]:
    """The header as text, and the tensors, of a valid file."""
    size = int.from_bytes(content[:8], "little")
    outer, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    header = outer.pop("__metadata__")["nabi"]
    tensors = []
    for name, entry in sorted(outer.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        tensors.append(Tensor(name, entry["dtype"], entry["shape"], data[begin:end]))
    return header, tensors


def pack(header: str, tensors: list[Tensor]) -> bytes:
    """A file of any header and tensors."""
    entries: dict[str, Any] = {"__metadata__": {"nabi": header}}
    place = 0
    for name, dtype, shape, data in tensors:
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [place, place + len(data)]}
        place += len(data)
    return _with_outer(json.dumps(entries).encode(), b"".join(one.data for one in tensors))


def _with_outer(outer: bytes, data: bytes) -> bytes:
    outer += b" " * (-len(outer) % 8)
    return struct.pack("<Q", len(outer)) + outer + data


def alter(content: bytes, seed: int) -> bytes:
    """The file with one alteration or a few, always the same for a seed."""
    chance = random.Random(seed)
    how = chance.choices((_bytes, _said, _held, _outer), (2, 5, 4, 1))[0]
    return how(content, chance)


def _bytes(content: bytes, chance: random.Random) -> bytes:
    altered = bytearray(content)
    kind = chance.randrange(6)
    if kind == 0:
        return content[: chance.randrange(len(content))]
    if kind == 1:
        altered[:8] = struct.pack("<Q", chance.choice((0, 1, len(content), 2**31, 2**63, 2**64 - 1)))
    elif kind == 2:
        place = chance.randrange(len(altered))
        del altered[place : place + chance.randrange(1, 9)]
    elif kind == 3:
        place = chance.randrange(len(altered))
        altered[place:place] = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 9)))
    else:
        # The header is where a bit says most.
        end = 8 + int.from_bytes(content[:8], "little") if kind == 4 else len(altered)
        for _ in range(chance.choice((1, 1, 1, 4))):
            altered[chance.randrange(end)] ^= 1 << chance.randrange(8)
    return bytes(altered)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to all values; of long lists to a few."""
    found = [path] if path else []
    if isinstance(value, dict):
        for name, one in value.items():
            found += places(one, (*path, name))
    elif isinstance(value, list):
        for number, one in enumerate(value[:5]):
            found += places(one, (*path, number))
    return found


def _said(content: bytes, chance: random.Random) -> bytes:
    text, tensors = unpack(content)
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        header, said = json.loads(text), json.loads(text)
        path = chance.choice(places(header))
        holder: Any = header
        for step in path[:-1]:
            holder = holder[step]
        last, kind = path[-1], chance.randrange(12)
        if kind == 0:
            del holder[last]
        elif kind == 1:
            other = said
            for step in chance.choice(places(said)):
                other = other[step]
            holder[last] = other
        elif kind == 2:
            holder[last] = [holder[last]] * chance.choice((1, 2, 1000))
        elif kind == 3 and isinstance(holder[last], int | float):
            holder[last] = holder[last] * chance.choice((-1, 2, 10, 0.5, 1e9)) + chance.choice((0, 1))
        elif kind == 4 and isinstance(holder, dict):
            holder[chance.choice(("more", "units", "name", "__init__"))] = holder[last]
        else:
            marked = "\u0001here\u0001"
            value, holder[last] = json.dumps(holder[last]), marked
            if kind == 5 and isinstance(holder, dict):
                junk = f"{value}, {json.dumps(last)}: {chance.choice(JUNK)}"  # the name twice
            else:
                junk = chance.choice(JUNK)
            text = json.dumps(header).replace(json.dumps(marked), junk, 1)
            break  # it may no longer be JSON
        text = json.dumps(header)
    return pack(text, tensors)


def _held(content: bytes, chance: random.Random) -> bytes:
    text, tensors = unpack(content)
    for _ in range(chance.choice((1, 1, 2))):
        if not tensors:
            break
        place = chance.randrange(len(tensors))
        tensors[place : place + 1] = chance.choice(_OF_TENSORS)(tensors[place], tensors, chance)
    return pack(text, tensors)


def _reshaped(one: Tensor, _: list[Tensor], chance: random.Random) -> list[Tensor]:
    size = _SIZES[one.dtype]
    shape = chance.choice(
        (
            [],
            [1],
            [0],
            [0, 2**40],
            one.shape[::-1],
            [*one.shape, 1],
            [2, *one.shape],
            [*one.shape[:-1], 7],
            [3, 3],
        )
    )
    count = 1
    for axis in shape:
        count *= axis
    return [Tensor(one.name, one.dtype, shape, (one.data * 40 + bytes(4000))[: count * size])]


def _retyped(one: Tensor, _: list[Tensor], chance: random.Random) -> list[Tensor]:
    dtype = chance.choice(list(_SIZES))
    count = len(one.data) // _SIZES[one.dtype]
    return [Tensor(one.name, dtype, one.shape, (one.data * 8)[: count * _SIZES[dtype]])]


def _other_values(one: Tensor, _: list[Tensor], chance: random.Random) -> list[Tensor]:
    size = len(one.data)
    kind = chance.randrange(4)
    if kind == 0:
        data = bytes(chance.randrange(256) for _ in range(size))
    elif kind == 1:
        data = (struct.pack("<f", chance.choice((float("nan"), float("inf"), -1.0, 0.5, 1e30))) * size)[:size]
    elif kind == 2:
        data = bytes([chance.choice((0, 1, 127, 255))]) * size
    else:
        altered = bytearray(one.data)
        for _ in range(min(size, 3)):
            altered[chance.randrange(min(size, 32))] = chance.randrange(256)
        data = bytes(altered)
    return [one._replace(data=data)]


def _swapped(one: Tensor, every: list[Tensor], chance: random.Random) -> list[Tensor]:
    other = chance.choice(every)
    return [other._replace(name=one.name)]


_OF_TENSORS: tuple[Callable[[Tensor, list[Tensor], random.Random], list[Tensor]], ...] = (
    _reshaped,
    _reshaped,
    _retyped,
    _other_values,
    _swapped,
    lambda one, every, chance: [],
    lambda one, every, chance: [one._replace(name=one.name + chance.choice(("x", "/0", "/9/step")))],
    lambda one, every, chance: [one._replace(name=chance.choice(every).name + "_2")],
    lambda one, every, chance: [one, one._replace(name=one.name.rpartition("/")[0] + "/99/exp_avg")],
)


def _outer(content: bytes, chance: random.Random) -> bytes:
    """The container's own table, which says what is where."""
    size = int.from_bytes(content[:8], "little")
    outer, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    names = [name for name in outer if name != "__metadata__"]
    name = chance.choice(names)
    kind = chance.randrange(7)
    junk: Any = chance.choice((0, -1, 2**63, 2**64, 1.5, None, True, "x", [], {}, [2**40, 2**40], [0, 2**63]))
    if kind < 3:
        outer[name][("dtype", "shape", "data_offsets")[kind]] = junk
    elif kind == 3:
        outer[name]["data_offsets"] = outer[chance.choice(names)]["data_offsets"]
    elif kind == 4:
        outer["__metadata__"] = chance.choice((junk, {"nabi": junk}, {"nabi": "", "more": "x"}))
    elif kind == 5:
        outer[name] = junk
    else:
        outer[name]["dtype"] = chance.choice(
            ("F32", "F64", "I8", "BF16", "F8_E4M3", "F8_E8M0", "F4", "C64", "U64")
        )
    return _with_outer(json.dumps(outer).encode(), data)
