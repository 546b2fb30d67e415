"""Small damages to files from outside, each drawn from a seeded generator."""

import io
import json
import pickletools
import zipfile

VALUES = (
    None, True, False, 0, -1, 1, 3.5, 1e308, float("nan"), 10**30, 2**31, "", "x", "a" * 5000, "\ud800", "0", "batch",
    [], [[]], [1, 2], ["a"], {}, {"x": 1},
)  # fmt: skip
WORDS = (
    "null", "~", "1e999", "0x7f", "2001-01-01", "!!python/object:os.system", "&a [*a]", "- - - -", "{", "%", "\x00",
)  # fmt: skip
OPCODES = (b"cos\nsystem\n", b"cbuiltins\neval\n", b"R", b"b", b".", b"0", b"}", b"]", b"N")
EXECUTED = b"cos\nsystem\n(S'touch {canary}'\ntR."
"""A pickle that runs a command as it is read."""


def raw(random, data):
    """Bytes flipped, cut off, doubled, zeroed, or put in."""
    data = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8, 64))):
        place = random.randrange(max(1, len(data)))
        length = random.choice((1, 1, 2, 4, 16, 256))
        kind = random.randrange(6)
        if kind == 0:
            data[place : place + 1] = bytes([random.randrange(256)])
        elif kind == 1:
            del data[place : place + length if random.random() < 0.5 else len(data)]
        elif kind == 2:
            data[place:place] = data[place : place + length]
        elif kind == 3:
            data[place : place + length] = bytes(length)
        elif kind == 4:
            data[place:place] = random.randbytes(length)
        else:
            data[place : place + length] = b"\xff" * length
    return bytes(data)


def places(value, path=()):
    """The paths of everything inside a JSON value."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for index in range(min(len(value), 20)):
            yield from places(value[index], (*path, index))


def structured(random, document):
    """A JSON value with parts deleted, renamed, doubled, or of another type."""
    document = json.loads(json.dumps(document))
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        path = random.choice([path for path in places(document) if path] or [()])
        if not path:
            return random.choice(VALUES)
        at = document
        for key in path[:-1]:
            at = at[key]
        last, kind = path[-1], random.random()
        if kind < 0.15:
            del at[last]
        elif kind < 0.25 and isinstance(at, dict):
            at[random.choice(("zz", "params", "shape", f"{last}x"))] = at.pop(last)
        elif kind < 0.35 and isinstance(at, list):
            at.append(random.choice(VALUES))
        else:
            at[last] = random.choice(VALUES)
    return document


def json_text(random, data):
    """The text of a JSON document, damaged as data, as text, or nested without end."""
    kind = random.random()
    if kind < 0.8:
        return json.dumps(structured(random, json.loads(data))).encode()
    if kind < 0.85:
        return b"[" * 100_000
    return raw(random, data)


def lines(random, data):
    """Lines of text deleted, doubled, swapped, or with a word that a reader may take for something else."""
    if random.random() < 0.2:
        return raw(random, data)
    rows = data.split(b"\n")
    for _ in range(random.choice((1, 1, 2, 3))):
        place = random.randrange(len(rows))
        kind = random.randrange(4)
        if kind == 0:
            del rows[place : place + 1]
        elif kind == 1:
            rows.insert(place, rows[place])
        elif kind == 2:
            head, _, _ = rows[place].partition(b" ")
            rows[place] = head + b" " + random.choice(WORDS).encode()
        else:
            rows.insert(place, random.choice(WORDS).encode())
        rows = rows or [b""]
    return b"\n".join(rows)


def archive(random, data, members=json_text):
    """One member of a zip archive damaged, or the archive itself."""
    if random.random() < 0.3:
        return raw(random, data)
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        content = {info.filename: source.read(info) for info in source.infolist()}
    name = random.choice([*content])
    change = members if name.endswith(".json") else raw
    content[name] = change(random, content[name])
    if random.random() < 0.1:
        content.pop(random.choice([*content]))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for each, value in content.items():
            target.writestr(each, value)
    return out.getvalue()


def pickled(random, data, canary):
    """Opcodes of a checkpoint's pickle deleted, doubled, exchanged, or followed by one that runs a command."""
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        content = {info.filename: source.read(info) for info in source.infolist()}
    name = next(each for each in content if each.endswith("data.pkl"))
    stream = content[name]
    starts = [place for _, _, place in pickletools.genops(stream)]
    ends = [*starts[1:], len(stream)]
    ops = [stream[start:end] for start, end in zip(starts, ends, strict=True)]
    for _ in range(random.choice((1, 1, 2, 4))):
        place = random.randrange(len(ops))
        kind = random.randrange(5)
        if kind == 0:
            del ops[place]
        elif kind == 1:
            ops.insert(place, ops[place])
        elif kind == 2:
            other = random.randrange(len(ops))
            ops[place], ops[other] = ops[other], ops[place]
        elif kind == 3:
            ops.insert(place, random.choice(OPCODES))
        else:
            ops.insert(place, EXECUTED.replace(b"{canary}", str(canary).encode())[:-1])
    content[name] = b"".join(ops)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for each, value in content.items():
            target.writestr(each, value)
    return out.getvalue()
