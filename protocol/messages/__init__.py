"""All messages, as frozen structs that are validated when decoded; one file per receiver.

A message is a msgpack map with its class name under ``type``. Images are not in the map: ``image_frames`` says how many
raw frames follow it, each an encoded image.
"""

from __future__ import annotations

from protocol.messages.parts import *
from protocol.messages.to_any import *
from protocol.messages.to_launcher import *
from protocol.messages.to_run import *
from protocol.messages.to_worker import *

AnyMessage = (
    Hello | Welcome | Refused | Heartbeat | Goodbye
    | Edit | AtBarrier | Release | Edited
    | Score | Scored
    | Failed | Ack | Cancel | Load | Place | Placed
    | Lease | Granted | Waiting | Reload | Status | PoolStatus | Stop
    | Join | Assigned | Allow
)  # fmt: skip
