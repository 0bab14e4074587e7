"""Which file's bytes are at an address."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path

from workers.models.moving.mappings import FileMapping, FileMappings, file_mappings, parse_mappings

TEXT = """\
5500-5600 r-xp 00002000 fe:00 260386                     /usr/bin/head
7000-9000 rw-p 00001000 fe:00 21468                      /models/a b\\012c/model.safetensors
9000-a000 r--s 00000000 fe:00 21469                      /models/shared, but read only.safetensors
a000-b000 rw-s 00000000 fe:00 21470                      /models/written through.safetensors
b000-c000 rw-p 00000000 fe:00 21471                      /models/gone.safetensors (deleted)
c000-d000 rw-p 00000000 00:00 0
d000-e000 rw-p 00000000 00:00 0                          [heap]
e000-f000 rw-s 00000000 00:01 1                          /dev/zero
f000-ff00 rw-p 00000000 00:01 1                          /memfd:torch (deleted)
"""


def test_files_are_mappings_unless_they_are_gone_or_written_through_them() -> None:
    assert parse_mappings(TEXT) == [
        FileMapping(0x5500, 0x5600, 0x2000, "/usr/bin/head"),
        FileMapping(0x7000, 0x9000, 0x1000, "/models/a b\nc/model.safetensors"),
        FileMapping(0x9000, 0xA000, 0, "/models/shared, but read only.safetensors"),
    ]


def test_a_place_in_a_file_follows_from_the_address(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(os.urandom(3 * mmap.PAGESIZE))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE) as mapped:
        start = _address(mapped)
        found = file_mappings().at(start + 100, start + 200)
        assert found is not None
        assert (found.path, found.position(start + 100)) == (str(path), 100)


def test_a_file_with_a_chinese_name_is_found_in_a_locale_without_such_characters(tmp_path: Path) -> None:
    path = tmp_path / "权重"
    path.write_bytes(bytes(mmap.PAGESIZE))
    show = (
        "import mmap, os, sys\n"
        "from workers.models.moving.mappings import file_mappings\n"
        "file = open(sys.argv[1], 'rb')\n"
        "mapped = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE)\n"
        "paths = [mapping.path for mapping in file_mappings()._mappings]\n"
        "assert sys.argv[1] in paths\n"
        "os.close(os.open(paths[paths.index(sys.argv[1])], os.O_RDONLY))\n"
    )
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", show, str(path)], env=plain, check=True)


def test_pages_that_the_process_wrote_to_are_no_longer_the_files(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(bytes(3 * mmap.PAGESIZE))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE) as mapped:
        start = _address(mapped)
        mapped[mmap.PAGESIZE] = 1
        mappings = file_mappings()
        assert mappings.at(start, start + mmap.PAGESIZE) is not None
        assert mappings.at(start, start + mmap.PAGESIZE + 1) is None
        assert mappings.at(start + 2 * mmap.PAGESIZE, start + 3 * mmap.PAGESIZE) is not None


def test_an_address_range_that_no_mapping_has_completely_is_in_no_file() -> None:
    mappings = FileMappings([FileMapping(0x7000, 0x9000, 0, "a")])
    assert [mappings.at(*span) for span in ((0x6000, 0x6100), (0x6F00, 0x7100), (0x8F00, 0x9100))] == [None] * 3


def _address(mapped: mmap.mmap) -> int:
    import ctypes

    return ctypes.addressof(ctypes.c_char.from_buffer(mapped))
