"""Snake for the MCP Credentials Broker: an OAuth 2.0 provider in Python.

There is no SDK for Python: this is the contract itself, wit/provider.wit and wit/host.wit. What the functions must
return stands there.
"""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import host

DESCRIPTOR = json.dumps({
    "name": "snake",
    "title": "Snake",
    "version": "0.1.0",
    "settings": [
        {"name": "client_id", "env": ["SNAKE_CLIENT_ID"], "kind": "client-id", "required": True, "about": "The client ID."},
        {"name": "client_secret", "env": ["SNAKE_CLIENT_SECRET"], "kind": "client-secret", "about": "Its secret."},
    ],
    "endpoints": [
        {"id": "authorize", "role": "authorization", "url": "https://snake.example/authorize"},
        {
            "id": "token", "role": "token", "method": "POST", "url": "https://snake.example/token",
            "slots": {
                "authorization.basic": ["client-secret"],
                "form.code": ["code"],
                "form.code_verifier": ["verifier"],
                "form.refresh_token": ["refresh"],
            },
        },
    ],
    "grants": ["authorization_code", "refresh_token"],
    "ttl": {"default": 3600, "maximum": 28800},
})

FACTS = {
    "token_type": "/token_type",
    "scope": "/scope",
    "expires_in": "/expires_in",
}


class Provider(exports.Provider):
    def describe(self) -> str:
        return DESCRIPTOR

    def resolve(self) -> list[tuple[str, str]]:
        return []

    def authorization(self, scopes: list[str]) -> list[tuple[str, str]]:
        return []

    def exchange(self, code: host.Secret, verifier: host.Secret, redirect_uri: str) -> host.Tokens:
        request = host.Request("token", [])
        request.form("grant_type", "authorization_code")
        request.form("redirect_uri", redirect_uri)
        request.form_secret("code", code)
        request.form_secret("code_verifier", verifier)
        return tokens(request)


class Refresh(exports.Refresh):
    def refresh(self, token: host.Secret, scopes: list[str], notes: list[tuple[str, str]]) -> host.Tokens:
        request = host.Request("token", [])
        request.form("grant_type", "refresh_token")
        request.form_secret("refresh_token", token)
        return tokens(request)


def tokens(request: host.Request) -> host.Tokens:
    """Authenticates the client, sends the request, and makes tokens of the answer (RFC 6749 sections 2.3 and 5)."""
    client_id = host.setting("client_id") or ""
    client_secret = host.setting_secret("client_secret")
    if client_secret is None:
        request.form("client_id", client_id)
    else:
        request.authenticate("basic", client_id, client_secret)
    answer = request.send()
    if answer.status() == 429 or answer.status() >= 500:
        raise failure("temporarily_unavailable", "The server is busy.")
    error = answer.field("/error")
    if error is not None:
        raise failure(error, answer.field("/error_description") or "The server said no.")
    access = answer.secret("/access_token")
    if access is None:
        raise failure("malformed_answer", "The server's answer has no access token.")
    found = host.Tokens(access)
    refresh = answer.secret("/refresh_token")
    if refresh is not None:
        found.set_refresh(refresh)
    for name, pointer in FACTS.items():
        value = answer.field(pointer)
        if value is not None:
            found.set(name, value)
    return found


def failure(code: str, message: str) -> Err[host.Failure]:
    return Err(host.Failure(code, message, []))
