"""A child as lean-rs makes them, for its parent's whole opening conversation; it uses no part of lean_worker.

    lean_rs_child.py LOG SESSION METADATA

Every frame that it gets is appended to LOG. SESSION is "opened", "reused" or "refused", and METADATA is "ok" or
"malformed". It is as strict as its model: a request that it does not know, or one in another spelling, ends it with
exit code 1, and a command before a session is refused.
"""

from __future__ import annotations

import json
import os
import sys

LOG, SESSION, METADATA = sys.argv[1:]
STATS = (
    '{"direct_import_names":["Init","Lib.Mod"],"effective_module_count":3,"compacted_region_count":1,'
    '"memory_mapped_region_count":2,"compacted_region_bytes":16,"memory_mapped_region_bytes":32,'
    '"non_memory_mapped_region_bytes":8,"imported_bytes":64,"imported_constant_count":128,"extension_count":4,'
    '"total_imported_extension_entries":256,"import_level":"private","import_all":false,"load_exts":true}'
)


def send(text):
    body = f'{{"version":10,"message":{text}}}'.encode()
    data = len(body).to_bytes(4, "big") + body
    while data:
        data = data[os.write(1, data) :]


def respond(text):
    send(f'{{"type":"response","body":{text}}}')


def receive():
    prefix = sys.stdin.buffer.read(4)
    if len(prefix) < 4:
        sys.exit("channel lost")
    body = sys.stdin.buffer.read(int.from_bytes(prefix, "big"))
    with open(LOG, "ab") as log:
        log.write(prefix + body)
    return json.loads(body)["message"]


def answer(body):
    op = body["op"]
    if op == "health":
        respond('{"status":"health_ok"}')
    elif op == "open_host_session":
        # What a child says while it imports.
        send('{"type":"progress_tick","body":{"phase":"import","current":1,"total":null}}')
        if SESSION == "refused":
            respond('{"status":"error","code":"lean_rs.module_init","message":"unknown module prefix \'Lib\'"}')
        else:
            respond(f'{{"status":"host_session_{SESSION}","import_stats":{STATS}}}')
    elif op == "capability_metadata" and METADATA == "ok":
        named = '"commands":[{"name":"scan","version":"1"}],"capabilities":[{"name":"rows.json","version":"2"}]'
        respond(f'{{"status":"capability_metadata","metadata":{{{named},"lean_version":null,"extra":null}}}}')
    elif op == "capability_metadata":
        respond('{"status":"capability_metadata_malformed","message":"expected value at line 1 column 2"}')
    elif op == "capability_doctor":
        finding = '{"severity":"warning","code":"lib.old","message":"an old index","details":null}'
        respond(f'{{"status":"capability_doctor","report":{{"diagnostics":[{finding}],"metadata":null}}}}')
    elif op == "run_data_stream":
        for sequence in range(2):
            row = f'{{"stream":"rows","sequence":{sequence},"payload":{{"i":{sequence}}}}}'
            send(f'{{"type":"data_row","body":{row}}}')
        summary = '{"total_rows":2,"per_stream_counts":{"rows":2},"elapsed_micros":812,"metadata":{"ok":true}}'
        respond(f'{{"status":"stream_complete","summary":{summary}}}')
    else:
        sys.exit(f"unknown op {op}")


def main():
    send('{"type":"handshake","body":{"worker_version":"0.7.3","protocol_version":10}}')
    if receive()["type"] != "configure_frame_limit":
        sys.exit("expected ConfigureFrameLimit")
    while True:
        body = receive()["body"]
        if body["op"] == "terminate":
            respond('{"status":"terminating"}')
            return
        answer(body)


main()
