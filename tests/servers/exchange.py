"""One connection through the chaos proxy: a request, what is done to it, its answer; again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tests.servers.access_log import access_key
from tests.servers.http1 import (
    CONTINUE,
    GONE,
    LIMIT,
    Head,
    Malformed,
    Until,
    answer_framing,
    discard,
    read_body,
    read_head,
    request_framing,
)
from tests.servers.mischief import Answer, ApplyLate, Cut, Delay, DropReply, Hold
from tests.servers.refusals import Asked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.servers.mischief import Rule, Rules
    from tests.servers.refusals import Refusal
    from tests.servers.tally import Tally

    Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Exchange:
    """A client's connection, and the one to the server that goes with it."""

    def __init__(
        self,
        client: Stream,
        upstream: tuple[str, int],
        rules: Rules,
        tally: Tally,
        late: set[asyncio.Task[None]],
    ) -> None:
        self._reader, self._writer = client
        self._address = upstream
        self._upstream: Stream | None = None
        self._rules = rules
        self._tally = tally
        self._late = late

    async def one(self) -> bool:
        """Deal with the next request; whether another may follow."""
        head = await read_head(self._reader)
        if head is None:
            return False
        method, target, _ = head.words
        path, _, query = target.partition("?")
        asked = Asked(method, unquote(path), query, access_key(head.fields))
        drop = None
        for rule in self._rules.due(asked):
            self._tally.add(type(rule.action).__name__)
            match rule.action:
                case Delay(seconds):
                    await asyncio.sleep(seconds)
                case Hold():
                    await rule.until_released()
                case Cut():
                    self.abort()
                    return False
                case Answer(refusal):
                    return await self._answer(head, refusal, asked)
                case ApplyLate():
                    await self._apply_late(head, rule)
                    return False
                case DropReply():
                    drop = rule.action
        return await self._forward(head, drop)

    def abort(self) -> None:
        """Cut the client off."""
        self._writer.transport.abort()

    def close(self) -> None:
        """End both connections; what was written still arrives."""
        self._writer.close()
        if self._upstream:
            self._upstream[1].transport.abort()
            self._upstream = None

    # --- what is done -------------------------------------------------------------------------

    async def _forward(self, head: Head, drop: DropReply | None) -> bool:
        reader, writer = await self._server()
        writer.write(head.raw)
        sending = asyncio.create_task(self._send_body(head, writer))
        try:
            reply, went_on = await self._reply_head(reader)
            framing = answer_framing(reply, head.words[0])
            if drop:
                await self._drop(reply, read_body(reader, framing), drop)
                return False
            # Refused before the body: whether that still comes, nobody can tell.
            astray = head.awaits_continue and not went_on
            self._writer.write(reply.closing if astray else reply.raw)
            async for piece in read_body(reader, framing):
                self._writer.write(piece)
                await self._writer.drain()
            await self._writer.drain()
            self._tally.add("forwarded")
            ends = astray or reply.closes or framing is Until.CLOSE
            if not ends:
                await sending
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        return not (ends or head.closes)

    async def _send_body(self, head: Head, writer: asyncio.StreamWriter) -> None:
        try:
            async for piece in read_body(self._reader, request_framing(head)):
                writer.write(piece)
                await writer.drain()
        except GONE:
            writer.transport.abort()  # else the server waits for the rest, and we for the server
            raise

    async def _reply_head(self, reader: asyncio.StreamReader) -> tuple[Head, bool]:
        """The head of the answer proper, and whether the server said to go on before."""
        went_on = False
        while True:
            head = await read_head(reader)
            if head is None:
                raise Malformed("the server closed instead of an answer")
            if head.status >= 200:
                return head, went_on
            went_on = True
            self._writer.write(head.raw)

    async def _drop(self, reply: Head, body: AsyncIterator[bytes], drop: DropReply) -> None:
        """Hear the server out; of that, only so much gets through."""
        heard = b"".join([piece async for piece in body])
        if drop.let_through is None:
            self.abort()
        else:
            self._writer.write(reply.raw + heard[: drop.let_through])

    async def _answer(self, head: Head, refusal: Refusal, asked: Asked) -> bool:
        if not head.awaits_continue:
            await discard(self._reader, request_framing(head))
        body = refusal.body(asked.path)
        fields = {"Content-Type": "application/xml", "Content-Length": str(len(body))}
        if head.awaits_continue:
            fields["Connection"] = "close"
        lines = [f"{name}: {value}\r\n" for name, value in (fields | refusal.headers).items()]
        start = f"HTTP/1.1 {refusal.status} {refusal.code}\r\n{''.join(lines)}\r\n".encode()
        self._writer.write(start + (b"" if asked.method == "HEAD" else body))
        await self._writer.drain()
        return not (head.closes or head.awaits_continue)

    async def _apply_late(self, head: Head, rule: Rule) -> None:
        if head.awaits_continue:
            self._writer.write(CONTINUE)
        body = [piece async for piece in read_body(self._reader, request_framing(head))]
        self.abort()
        task = asyncio.create_task(self._send_late(head, b"".join(body), rule))
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _send_late(self, head: Head, body: bytes, rule: Rule) -> None:
        await rule.until_released()
        reader, writer = await asyncio.open_connection(*self._address, limit=LIMIT)
        try:
            writer.write(head.without("expect") + body)
            reply = await read_head(reader)
            if reply:
                await discard(reader, answer_framing(reply, head.words[0]))
                self._tally.add("applied late")
        finally:
            writer.transport.abort()

    async def _server(self) -> Stream:
        """The connection to the server; a new one if that has closed the old one meanwhile."""
        if self._upstream and self._upstream[0].at_eof():
            self._upstream[1].close()
            self._upstream = None
        if not self._upstream:
            self._upstream = await asyncio.open_connection(*self._address, limit=LIMIT)
        return self._upstream
