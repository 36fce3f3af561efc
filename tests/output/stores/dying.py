"""The command line, but it is killed before a given request that changes something in S3.

``python dying.py STEP WORDS…`` counts requests that write or delete.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from aiobotocore.client import AioBaseClient

from digitvae.cli.app import main

STEPS = {
    "PutObject",
    "CreateMultipartUpload",
    "UploadPart",
    "CompleteMultipartUpload",
    "DeleteObject",
}
original = AioBaseClient._make_api_call
steps_left = int(sys.argv[1])


async def counted(self: Any, operation: str, parameters: dict[str, Any]) -> Any:
    global steps_left  # noqa: PLW0603
    steps_left -= operation in STEPS
    if steps_left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return await original(self, operation, parameters)


AioBaseClient._make_api_call = counted
sys.exit(main(sys.argv[2:]))
