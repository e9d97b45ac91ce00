"""Content-defined chunking: cuts that move with the content, so that an edit changes few chunks.

FastCDC with normalised chunking (Xia et al., "FastCDC: a Fast and Efficient Content-Defined
Chunking Approach for Data Deduplication", USENIX ATC 2016), as pyfastcdc implements it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

MIN_SIZE, AVERAGE_SIZE, MAX_SIZE = 16 << 10, 64 << 10, 256 << 10
_BLOCK = 8 << 20


def chunks(read_into: Callable[[memoryview], int]) -> Iterator[tuple[memoryview, list[int]]]:
    """Cut a stream into chunks.

    ``read_into`` fills a buffer and returns the bytes read, 0 at the end. Yields blocks with the
    lengths of the chunks that they consist of; a block is valid until the next one is asked for.
    Where the cuts fall depends on the content alone, not on how it arrives.
    """
    from pyfastcdc import FastCDC  # noqa: PLC0415  (loaded when something large is stored)

    cdc = FastCDC(avg_size=AVERAGE_SIZE, min_size=MIN_SIZE, max_size=MAX_SIZE)
    buffer = bytearray(_BLOCK + MAX_SIZE)
    view = memoryview(buffer)
    kept = 0
    while True:
        end = kept + _fill(read_into, view[kept:])
        at_end = end < len(buffer)
        lengths = [chunk.length for chunk in cdc.cut_buf(view[:end])] if end else []
        # The last cut may be there only because the block ends: it is looked at again with more.
        rest = 0 if at_end or not lengths else lengths.pop()
        if lengths:
            yield view[: end - rest], lengths
        if at_end:
            return
        buffer[:rest] = bytes(view[end - rest : end])
        kept = rest


def _fill(read_into: Callable[[memoryview], int], view: memoryview) -> int:
    done = 0
    while done < len(view):
        count = read_into(view[done:])
        if not count:
            break
        done += count
    return done
