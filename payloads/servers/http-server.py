"""An HTTP/1.1 server as asyncio programs have one: streams and kept connections; each request is answered with 1 KiB.

`http-server.py ADDRESS`: a path, or PORT of 127.0.0.1. Nothing in here knows of SO_AGENT_LOCAL.
"""

import asyncio
import sys

BODY = b'{"answer":"%s"}' % (b"x" * 1011)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, until its client closes it."""
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(ANSWER)
            await writer.drain()
    except asyncio.IncompleteReadError:
        writer.close()


async def main(address: str) -> None:
    """Listen and serve for good."""
    if address.isdigit():
        server = await asyncio.start_server(serve, "127.0.0.1", int(address))
    else:
        server = await asyncio.start_unix_server(serve, address)
    await server.serve_forever()


asyncio.run(main(sys.argv[1]))
