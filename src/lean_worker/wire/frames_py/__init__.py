"""Frames of wire protocol 10, in pure Python: the reference of the compiled twin `_frames`.

Hides nothing: feed bytes, take rows and messages. What they mean is `protocol`'s.
"""

from ..envelope import MAX_SEQUENCE as MAX_SEQUENCE
from ..envelope import PROTOCOL_VERSION as PROTOCOL_VERSION
from .codec import DEFAULT_FRAME_BYTES as DEFAULT_FRAME_BYTES
from .codec import MAX_FRAME_BYTES as MAX_FRAME_BYTES
from .codec import MIN_FRAME_BYTES as MIN_FRAME_BYTES
from .codec import PREFIX_BYTES as PREFIX_BYTES
from .codec import STATUS_CANCELLED as STATUS_CANCELLED
from .codec import STATUS_CLOSED as STATUS_CLOSED
from .codec import STATUS_MALFORMED as STATUS_MALFORMED
from .codec import STATUS_NO_STREAM as STATUS_NO_STREAM
from .codec import STATUS_OK as STATUS_OK
from .codec import STATUS_TOO_LARGE as STATUS_TOO_LARGE
from .codec import FrameReader as FrameReader
from .codec import Row as Row
from .codec import encode_frame as encode_frame
from .codec import encode_message as encode_message
from .codec import encode_row as encode_row
from .codec import encode_rows as encode_rows
from .codec import is_json as is_json
from .codec import json_text as json_text
from .codec import resolve_row as resolve_row
from .row_cursor import Flag as Flag
from .row_cursor import FlatStruct as FlatStruct
from .row_cursor import RowCursor as RowCursor
from .row_cursor import RowIterator as RowIterator
from .row_writer import RowWriter as RowWriter
