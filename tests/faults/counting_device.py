"""
A virtual meter in a process of its own, by a fast clock.

Killed and started again it shows what it would have shown anyway: a real meter's counter goes on.
"""

import asyncio
import sys

from fast_time import FastTime, counting_bus
from meterbook.simulate.modbus.server import serve_bus


async def serve(host: str, port: int) -> None:
    """Serve it until killed."""
    await serve_bus(counting_bus(FastTime.of_this_test()), host=host, port=port)
    sys.stdout.write("serves\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
