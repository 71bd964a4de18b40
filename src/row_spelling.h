/* The canonical spelling of a data row: what stands around its stream, its sequence and its payload. */
#ifndef LEAN_WORKER_ROW_SPELLING_H
#define LEAN_WORKER_ROW_SPELLING_H

#define FRAME_PREFIX_BYTES 4
#define ROW_HEAD "{\"version\":10,\"message\":{\"type\":\"data_row\",\"body\":{\"stream\":\""
#define ROW_SEQUENCE "\",\"sequence\":"
#define ROW_PAYLOAD ",\"payload\":"
#define ROW_TAIL "}}}"
#define LITERAL_BYTES(text) (sizeof(text) - 1)
#define U64_DIGITS 20

#endif
