"""The peers see every key: also of rows whose key changes, and of tables whose key is not the first column."""

import struct
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "peers"))
from invalidate_from_pgoutput import Decoder  # noqa: E402
from invalidate_from_wal2json import ids  # noqa: E402


def relation(number, name, columns):
    body = b"R" + struct.pack(">I", number) + b"public\0" + name + b"\0d" + struct.pack(">H", len(columns))
    return body + b"".join(b"\1" + column + b"\0" + struct.pack(">II", 20, 0xFFFFFFFF) for column in columns)


def row(kind, *values):
    columns = (b"n" if value is None else b"t" + struct.pack(">I", len(value)) + value for value in values)
    return kind + struct.pack(">H", len(values)) + b"".join(columns)


class Pgoutput(unittest.TestCase):
    def setUp(self):
        self.decoder = Decoder("public.users", "id")
        self.decoder.ids(relation(7, b"users", [b"name", b"id", b"email"]))
        self.decoder.ids(relation(8, b"orders", [b"id"]))

    def ids(self, kind, *rows, number=7):
        return list(self.decoder.ids(kind + struct.pack(">I", number) + b"".join(rows)))

    def test_each_kind_of_change(self):
        new = row(b"N", b"Ada", b"42", None)
        self.assertEqual(self.ids(b"I", new), [b"42"])
        self.assertEqual(self.ids(b"U", new), [b"42"])
        self.assertEqual(self.ids(b"D", row(b"K", None, b"42", None)), [b"42"])

    def test_old_and_new_row(self):
        self.assertEqual(self.ids(b"U", row(b"K", None, b"1", None), row(b"N", b"Ada", b"2", b"e")), [b"1", b"2"])

    def test_other_tables_and_messages_are_passed_over(self):
        self.assertEqual(self.ids(b"U", row(b"N", b"9"), number=8), [])
        self.assertEqual(list(self.decoder.ids(b"C" + bytes(25))), [])


class Wal2json(unittest.TestCase):
    def test_old_and_new_row(self):
        same = b'{"action":"U","identity":[{"name":"id","value":7}],"columns":[{"name":"id","value":7}]}'
        moved = b'{"action":"U","identity":[{"name":"id","value":7}],"columns":[{"name":"id","value":8}]}'
        self.assertEqual([ids(same), ids(moved)], [[b"7"], [b"7", b"8"]])


if __name__ == "__main__":
    unittest.main()
