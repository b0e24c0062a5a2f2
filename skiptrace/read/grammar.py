"""What broken JSON looks like: the patterns of the tolerant parser.

Every repetition is possessive: none gives back what it has matched, which takes no stack. A look
ahead from a quote reads up to the next two quotes, so that all of them together read a text a few
times over, not once for each quote.
"""

from __future__ import annotations

import re

_W = rb"[ \t\r\n]*+"
_QUOTED = rb'"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+"'
_KNOWN = rb"(?:ph|cat|name|pid|tid|ts|dur|args|id|bp|s)"
_KEY = rb"(?:" + _QUOTED + rb"|\'?" + _KNOWN + rb"\b'?)" + _W + rb":"
_EVENT = rb'\{[ \t\r\n]*+"' + _KNOWN + rb'"' + _W + rb":"
_COMMENT = rb"/[/*]"
_PAST_BRACE = (
    rb"\}" + _W + rb"(?:\Z|[}\]]|" + _COMMENT + rb"|,?" + _W
    + rb"(?:\Z|[}\]]|" + _KEY + rb"|\{" + _W + rb"(?:\}|" + _QUOTED + _W + rb":)))"
)  # fmt: skip
_IN_DICT = (
    _W + rb"(?:\Z|" + _COMMENT
    + rb"|," + _W + rb"(?:\Z|[,}\]]|" + _COMMENT + rb"|" + _KEY + rb"|" + _EVENT + rb")"
    + rb"|" + _PAST_BRACE
    + rb"|\]" + _W + rb"(?:\Z|\}|," + _W + _KEY + rb")"
    + rb'|"' + _KNOWN + rb'"' + _W + rb":|" + _EVENT + rb")"
)  # fmt: skip
_IN_LIST = (
    _W + rb"(?:\Z|" + _COMMENT + rb"|," + _W + rb'(?:\Z|["\[{\]},0-9tfnN-]|' + _COMMENT + rb")"
    + rb"|[\]}]" + _W + rb"(?:\Z|[,}\]]|" + _COMMENT + rb"))"
)  # fmt: skip
PAST_BRACE = re.compile(_PAST_BRACE)
FITS: dict[type, re.Pattern[bytes]] = {dict: re.compile(_IN_DICT), list: re.compile(_IN_LIST)}
"""What may follow the closing quote of a value."""


def _plain(fits: bytes) -> re.Pattern[bytes]:
    ends = rb"(?=" + _W + rb"[,}\]])"
    return re.compile(
        rb'"([^"\\\x00-\x1f]*+)"(?=' + fits + rb")"
        rb"|(-?+(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?+[0-9]++)?+)"
        + ends
        + rb"|(true|false|null)"
        + ends
        + rb"|([\[{])"
    )


PLAIN: dict[type, re.Pattern[bytes]] = {dict: _plain(_IN_DICT), list: _plain(_IN_LIST)}


def _member(comma: bytes) -> re.Pattern[bytes]:
    ends = rb"(?=" + _W + rb"[,}\]])"
    return re.compile(
        _W + comma + _W + rb'"([^"\\\x00-\x1f]*+)"' + _W + rb":" + _W
        + rb'(?:"([^"\\\x00-\x1f]*+)"(?=' + _IN_DICT + rb")"
        + rb"|(-?+(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+)" + ends + rb"|(true|false|null)" + ends + rb")"
    )  # fmt: skip


MEMBER = {True: _member(b""), False: _member(b",")}
"""A usual member, as the first of an object or a later one."""
LITERALS = {b"true": True, b"false": False, b"null": None}
PLAIN_KEY = re.compile(rb'"([^"\\\x00-\x1f]*+)"' + _W + rb":" + _W)
SINGLE_KEY = re.compile(rb"'([^'\r\n]{0,200}+)'" + _W + rb":" + _W)
WORD_KEY = re.compile(rb'([\w.$ /-]{1,200}+)"?+' + _W + rb":" + _W)
SINGLE = re.compile(rb"'([^'\\]*+(?:\\.[^'\\]*+)*+)'", re.DOTALL)
GAP = re.compile(_W + rb"(,?+)" + _W + rb"([}\]]?+)")
SPACE = re.compile(
    rb"[ \t\r\n]++|//[^\n]{0,4096}+(?:\n|\Z)|/\*(?:[^*]|\*(?!/)){0,4096}+\*/|[\x00-\x1f\x7f]++"
)
COLON = re.compile(_W + rb":" + _W)
WORD = re.compile(rb'(?:[^,:{}\[\]"\r\n/]|/(?![/*]))++')
JUNK = re.compile(rb'[^,"{}\[\]]*+')
TO_QUOTE = re.compile(rb'(?:[^"\\]++|\\[^"])*+(\\?"|\\?\Z)', re.DOTALL)
WEAK = re.compile(_W + rb"[,}\]]")
NEXT_MEMBER = re.compile(_KNOWN + rb'"' + _W + rb":")
BRACKETS = re.compile(rb'([\[{]++)|([\]}]++)|"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_HEAD = (
    rb"\{" + _W + rb'(?:"' + _KNOWN + rb'"' + _W + rb":" + _W + rb'(?:"[^"]{0,999}+"|[0-9.eE+-]++)'
    + _W + rb"," + _W + rb'){0,4}"ph"' + _W + rb":"
)  # fmt: skip
HEAD = re.compile(_HEAD)
"""The first members of an event, up to its phase: nothing else looks like it."""
BORDER = re.compile(rb"[}\],\[\r\n]" + _W + rb"(" + _EVENT + rb")|(" + _HEAD + rb")")
DOCUMENT_ENDS = re.compile(rb"\]" + _W + rb"\}?+" + _W + rb"\Z")
GOES_ON = re.compile(rb"\]" + _W + rb"," + _W + rb'"' + _KNOWN + rb'"' + _W + rb":")
"""A bracket after which the event has more members."""
