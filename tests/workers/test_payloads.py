"""A job's images and results; the first job takes no longer than any other."""

from __future__ import annotations

import subprocess
import sys

import pytest

from protocol.messages import Role

_FIRST_JOB = """
import io, sys
from PIL import Image
from protocol.messages import Edit
from workers.codecs import decode_image
from workers.payloads import encode_edit, warm_up
from workers.thumbnail_maker import make_thumbnail

warm_up(sys.argv[1])
before = set(sys.modules)
for kind in ("PNG", "JPEG"):
    file = io.BytesIO()
    Image.new("RGB", (600, 400)).save(file, kind)
    source = decode_image(file.getvalue())
if sys.argv[1] == "editor":
    message = Edit(run="r", incarnation="i", epoch=1, job="j", key="k", round=0, instruction="", seed=1, parameters={})
    encode_edit(message, source, 1.0, 2.0, make_thumbnail(source))
print(*sorted(set(sys.modules) - before))
"""


@pytest.mark.parametrize("role", ["editor", "reward"])
def test_after_the_warm_up_a_job_imports_nothing(role: Role) -> None:
    result = subprocess.run([sys.executable, "-c", _FIRST_JOB, role], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
