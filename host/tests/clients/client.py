"""The official Python SDK as an MCP client that a test drives.

Its one argument is JSON: {"command", "args", "env", "mode"}. The first line it prints says what it was told by the
server; after that, each line on standard input, {"tool", "arguments"}, is a call and gets one line back.
"""

import json
import sys

import anyio
from mcp import StdioServerParameters
from mcp.client import Client
from mcp.client.stdio import stdio_client


def say(line):
    print(json.dumps(line), flush=True)


def wire(model):
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


async def call(client, step):
    try:
        result = await client.call_tool(step["tool"], step["arguments"])
    except Exception as error:  # Whatever the SDK objects to is what the test wants to read.
        return {"raised": f"{type(error).__name__}: {error}"}
    return wire(result)


async def main():
    plan = json.loads(sys.argv[1])
    server = StdioServerParameters(command=plan["command"], args=plan["args"], env=plan["env"])
    async with Client(stdio_client(server), mode=plan["mode"]) as client:
        tools = await client.list_tools()
        say(
            {
                "protocolVersion": client.protocol_version,
                "serverInfo": wire(client.server_info) if client.server_info else None,
                "instructions": client.instructions,
                "tools": [wire(tool) for tool in tools.tools],
            }
        )
        while line := await anyio.to_thread.run_sync(sys.stdin.readline):
            say(await call(client, json.loads(line)))


anyio.run(main)
