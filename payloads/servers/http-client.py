"""An HTTP/1.1 client on asyncio: `http-client.py ADDRESS CONNECTIONS` keeps so many open.

Each line of its input is a number of requests that go over all of them; when all are answered as they should be, it says
`done`. Nothing in here knows of SO_AGENT_LOCAL.
"""

import asyncio
import sys

REQUEST = b"GET /answer HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n"
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(address: str) -> Connection:
    """A connection to a port of 127.0.0.1 or to a path."""
    if address.isdigit():
        return await asyncio.open_connection("127.0.0.1", int(address))
    return await asyncio.open_unix_connection(address)


async def ask(connection: Connection, count: int) -> None:
    """So many requests over one connection, one after the other. Raises ValueError for a wrong answer."""
    reader, writer = connection
    for _ in range(count):
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200 ") or length != 1024 or not body.startswith(b'{"answer":"x'):
            raise ValueError(head)


async def connect_all(address: str, connections: int) -> list[Connection]:
    """As many connections."""
    return [await connect(address) for _ in range(connections)]


async def ask_all(connections: list[Connection], count: int) -> None:
    """So many requests, as many over each connection."""
    await asyncio.gather(*(ask(connection, count // len(connections)) for connection in connections))


loop = asyncio.new_event_loop()
opened = loop.run_until_complete(connect_all(sys.argv[1], int(sys.argv[2])))
for line in sys.stdin:
    loop.run_until_complete(ask_all(opened, int(line)))
    sys.stdout.write("done\n")
    sys.stdout.flush()
