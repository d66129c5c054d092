"""An MCP server that does what a test tells it to. Not a real one: real ones behave.

Its first argument is a file to which it adds every byte that it is sent. Its answers depend on the method:

    x/raw      writes the bytes that params.hex holds, and nothing else
    x/encode   answers with the text params.text in every encoding that it knows
    x/garbage  writes params.count lines that are no messages, then answers
    x/endless  writes a line of params.size bytes without an end, then a line break, then answers
    x/flood    writes params.count notifications, then answers
    x/hang     does not answer
    x/deaf     neither answers nor reads any more
    x/die      ends with the exit code params.code; x/kill kills itself
    x/stderr   writes params.text to standard error, then answers
    others     answer with what was sent to them
"""

import base64
import json
import os
import signal
import sys
import time
import urllib.parse

record = open(sys.argv[1], "ab", buffering=0)
out = sys.stdout.buffer


def write(data):
    out.write(data)
    out.flush()


def answer(message, result):
    if "id" in message:
        write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode() + b"\n")


def encodings(text):
    raw = text.encode()
    yield text
    yield urllib.parse.quote(text, safe="")
    yield urllib.parse.quote_plus(text)
    yield "".join("%%%02X" % byte for byte in raw)
    yield "".join("%%%02x" % byte for byte in raw)
    yield raw.hex()
    yield raw.hex().upper()
    yield json.dumps(text)
    for before in (b"", b"x", b"xy"):
        for after in (b"", b"z"):
            yield base64.b64encode(before + raw + after).decode()
            yield base64.urlsafe_b64encode(before + raw + after).decode().rstrip("=")
    yield base64.b64encode(b"x-access-token:" + raw).decode()


while line := sys.stdin.buffer.readline():
    record.write(line)
    try:
        message = json.loads(line)
    except ValueError:
        continue
    if not isinstance(message, dict) or "method" not in message:
        continue
    method, params = message["method"], message.get("params") or {}
    if method == "x/raw":
        write(bytes.fromhex(params["hex"]))
    elif method == "x/encode":
        texts = list(encodings(params["text"]))
        escaped = "".join("\\u%04x" % ord(character) for character in params["text"])
        body = json.dumps({"texts": texts, "joined": " ".join(texts)})[:-1] + ', "escaped": "%s", "key %s": 1}' % (escaped, escaped)
        write(b'{"jsonrpc":"2.0","id":%s,"result":%s}\n' % (json.dumps(message["id"]).encode(), body.encode()))
        sys.stderr.write("".join(texts) + "\n")
        sys.stderr.flush()
    elif method == "x/garbage":
        for number in range(params["count"]):
            write(b"garbage %d %s\n" % (number, params.get("text", "").encode()))
        answer(message, {})
    elif method == "x/endless":
        left = params["size"]
        write(params.get("start", "").encode())
        while left > 0:
            write(b"x" * min(left, 1 << 20))
            left -= 1 << 20
        write(b"\n")
        answer(message, {})
    elif method == "x/flood":
        text = "x" * params.get("size", 100)
        for number in range(params["count"]):
            write(b'{"jsonrpc":"2.0","method":"flood","params":{"number":%d,"text":"%s"}}\n' % (number, text.encode()))
        answer(message, {})
    elif method == "x/hang":
        pass
    elif method == "x/deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(1)
    elif method == "x/die":
        os._exit(params["code"])
    elif method == "x/kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif method == "x/stderr":
        sys.stderr.write(params["text"])
        sys.stderr.flush()
        answer(message, {})
    else:
        answer(message, {"got": params})
