"""Who may see the page: a token, and the checks that keep other pages of the same browser out. Standard library only.

Any page that a browser has open may send requests to 127.0.0.1. So the token alone is not enough: `Host` must be ours
(a name that was pointed at this machine is not), and whatever acts, or opens the socket, must come from our own page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

__all__ = ["Gate"]


@dataclass(frozen=True, slots=True)
class Gate:
    """The rules of one address that is listened on.

    Parameters
    ----------
    hosts : tuple of str
        What `Host` may say, with the port.
    token : str
    cookie : str
        Name under which the browser keeps the token.
    read_only : bool
        A second screen: nothing that acts is let through.
    """

    hosts: tuple[str, ...]
    token: str
    cookie: str
    read_only: bool = False

    def refusal(
        self, headers: Mapping[str, str], *, query: str = "", acts: bool = False, socket: bool = False
    ) -> int:
        """HTTP status with which a request is refused, 0 if it may pass.

        Parameters
        ----------
        headers : mapping
            Names in lower case.
        query : str
            Of the address: `t` carries the token where there is no cookie yet.
        acts : bool
            It would change something.
        socket : bool
            It would open the WebSocket.
        """
        host = headers.get("host", "")
        if host not in self.hosts:
            return 421
        origin = headers.get("origin", "")
        if (acts or socket or origin) and origin != f"http://{host}":
            return 403
        if not self._knows_token(headers.get("cookie", ""), query):
            return 401
        if acts and self.read_only:
            return 403
        return 0

    def token_in(self, query: str) -> bool:
        """Whether the address itself carries the right token."""
        return any(self._equals(value) for value in parse_qs(query).get("t", []))

    def set_cookie(self) -> str:
        """The header's value that lets the browser keep the token, for this address and this session."""
        return f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict"

    def _knows_token(self, cookies: str, query: str) -> bool:
        try:
            kept = SimpleCookie(cookies).get(self.cookie)
        except CookieError:
            kept = None
        return (kept is not None and self._equals(kept.value)) or self.token_in(query)

    def _equals(self, value: str) -> bool:
        return compare_digest(value.encode(), self.token.encode())
