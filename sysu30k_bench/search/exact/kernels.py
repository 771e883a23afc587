"""Compiled loops over a block: counting, picking out undecided pairs, scoring them. Needs numba.

Each loop has a plain numpy twin elsewhere in this room, and gives the same integers: what is compiled here is either
integer work, the elementwise float64 tree of `pair_scores`, or a float32 sum whose error bound is used. Every loop
works on a range of entries, so that threads can share a block.
"""

from __future__ import annotations

import numpy as np
from numba import njit

RUN = 2048
"""Longest run of a sum, as in `product_error`."""
SPAN = 64
"""Columns that are looked through at once, many at a time, before any is picked."""


def _probe() -> None:
    pass


try:
    njit(cache=True)(_probe)
    CACHE = True
except RuntimeError:  # neither beside this file nor in the user's own folder may numba write
    CACHE = False


@njit(nogil=True, cache=CACHE)
def count_above(scores, query, high, low, own, first, last, above, opened):
    """For entries first to last: how many of a row's scores exceed `high`, and how many lie from `low` to `high`."""
    for entry in range(first, last):
        row = scores[query[entry]]
        top, bottom = high[entry], low[entry]
        over = np.int32(0)
        reach = np.int32(0)
        for column in range(row.shape[0]):
            over += np.int32(row[column] > top)
            reach += np.int32(row[column] >= bottom)
        if own[entry] >= 0:
            over -= np.int32(row[own[entry]] > top)
            reach -= np.int32(row[own[entry]] >= bottom)
        above[entry] = over
        opened[entry] = reach - over


@njit(nogil=True, cache=CACHE)
def pick_open(scores, query, high, low, own, offset, first, last, column_out):
    """For entries first to last: the columns that `count_above` counted as open, from `offset[entry]` on."""
    for entry in range(first, last):
        at = offset[entry]
        end = offset[entry + 1]
        row = scores[query[entry]]
        top, bottom = high[entry], low[entry]
        start = 0
        while at < end:
            part = row[start : start + SPAN]
            inside = np.int32(0)
            for column in range(part.shape[0]):
                inside += np.int32(part[column] >= bottom) - np.int32(part[column] > top)
            if inside > 0:
                for column in range(part.shape[0]):
                    if part[column] >= bottom and not part[column] > top and start + column != own[entry]:
                        column_out[at] = start + column
                        at += 1
            start += SPAN


@njit(nogil=True, cache=CACHE)
def count_reaching(scores, low, sign, first, last, reached):
    """For rows first to last: how many of their scores, times `sign`, reach the threshold of their column."""
    for row in range(first, last):
        found = np.int32(0)
        for column in range(low.shape[0]):
            found += np.int32(sign * scores[row, column] >= low[column])
        reached[row] = found


@njit(nogil=True, cache=CACHE)
def pick_reaching(scores, low, sign, offset, first, last, row_out, column_out):
    """For rows first to last: the pairs that `count_reaching` counted, from `offset[row]` on."""
    for row in range(first, last):
        at = offset[row]
        end = offset[row + 1]
        start = 0
        while at < end:
            part, bottom = scores[row, start : start + SPAN], low[start : start + SPAN]
            inside = np.int32(0)
            for column in range(part.shape[0]):
                inside += np.int32(sign * part[column] >= bottom[column])
            if inside > 0:
                for column in range(part.shape[0]):
                    if sign * part[column] >= bottom[column]:
                        row_out[at] = row
                        column_out[at] = start + column
                        at += 1
            start += SPAN


@njit(nogil=True, cache=CACHE, fastmath={"reassoc", "contract", "nsz"})
def _float32_product(left, right):
    total = np.float32(0)
    for start in range(0, left.shape[0], RUN):
        ours, theirs = left[start : start + RUN], right[start : start + RUN]
        part = np.float32(0)
        for at in range(ours.shape[0]):
            part += ours[at] * theirs[at]
        total += part
    return total


@njit(nogil=True, cache=CACHE, fastmath={"reassoc", "contract", "nsz"})
def _float64_product(left, right):
    total = 0.0
    for start in range(0, left.shape[0], RUN):
        ours, theirs = left[start : start + RUN], right[start : start + RUN]
        part = 0.0
        for at in range(ours.shape[0]):
            part += np.float64(ours[at]) * np.float64(theirs[at])
        total += part
    return total


@njit(nogil=True, cache=CACHE)
def _tree(left, right, scratch):
    dimension, width = left.shape[0], scratch.shape[0]
    for at in range(dimension):
        scratch[at] = np.float64(left[at]) * np.float64(right[at])
    scratch[dimension:] = 0.0
    half = width // 2
    while half > 0:
        lower, upper = scratch[:half], scratch[half : 2 * half]
        for at in range(half):
            lower[at] += upper[at]
        half //= 2
    return scratch[0]


@njit(nogil=True, cache=CACHE)
def tree_scores(queries, rows, query, column, first, last, scratch, out):
    """`pair_scores` for pairs first to last; `scratch` is float64 of the power of two from D on."""
    for pair in range(first, last):
        out[pair] = _tree(queries[query[pair]], rows[column[pair]], scratch)


@njit(nogil=True, cache=CACHE)
def decide(queries, rows, query, column, offset, first, last, match, tie, error, wide, scratch, above, tied):
    """Counts the open pairs of entries first to last: by a quick sum where its error allows, else by the exact score.

    The quick sum is of float64 where `wide`, else of float32.
    """
    for entry in range(first, last):
        left, score, slack = queries[query[entry]], match[entry], error[entry] + tie
        over = equal = 0
        for pair in range(offset[entry], offset[entry + 1]):
            right = rows[column[pair]]
            rough = (_float64_product(left, right) if wide else np.float64(_float32_product(left, right))) - score
            if rough > slack:
                over += 1
            elif rough >= -slack:
                difference = _tree(left, right, scratch) - score
                if difference > tie:
                    over += 1
                elif difference >= -tie:
                    equal += 1
        above[entry] += over
        tied[entry] += equal


@njit(nogil=True, cache=CACHE)
def score_reaching(queries, rows, query, column, floor, error, first, last, scratch, out):
    """Exact scores of pairs first to last; minus infinity where float32 shows a pair to be below its query's floor."""
    for pair in range(first, last):
        left, right = queries[query[pair]], rows[column[pair]]
        if np.float64(_float32_product(left, right)) < floor[query[pair]] - error[query[pair]]:
            out[pair] = -np.inf
        else:
            out[pair] = _tree(left, right, scratch)


@njit(nogil=True, cache=CACHE, fastmath={"reassoc", "contract", "nsz"})
def _square_sum(row):
    total = 0.0
    for at in range(row.shape[0]):
        total += np.float64(row[at]) * np.float64(row[at])
    return total


@njit(nogil=True, cache=CACHE)
def norms(rows, first, last, out):
    """Euclidean norms of rows first to last, float64."""
    for row in range(first, last):
        out[row] = np.sqrt(_square_sum(rows[row]))


@njit(nogil=True, cache=CACHE, fastmath={"reassoc", "contract", "nsz"})
def _encode(row, inverse, scale, codes):
    rest = 0.0
    for at in range(row.shape[0]):
        code = np.rint(row[at] * inverse)
        codes[at] = np.int8(code)
        difference = np.float64(row[at]) - np.float64(scale) * np.float64(code)
        rest += difference * difference
    return rest


@njit(nogil=True, cache=CACHE)
def encode_int8(rows, first, last, codes, scales, residuals, norms_out):
    """Codes from -127 to 127, a scale for each row, the norm of what the codes lose, and the row's own norm."""
    for row in range(first, last):
        largest = np.float32(0)
        for at in range(rows.shape[1]):
            largest = max(largest, abs(rows[row, at]))
        norms_out[row] = np.sqrt(_square_sum(rows[row]))
        scale = largest / np.float32(127)
        if scale < np.float32(1e-30):  # too small to divide by: all is residual
            codes[row] = 0
            scales[row] = 0
            residuals[row] = norms_out[row]
            continue
        scales[row] = scale
        residuals[row] = np.sqrt(_encode(rows[row], np.float32(1) / scale, scale, codes[row]))


@njit(nogil=True, cache=CACHE)
def scale_products(products, query_scale, row_scale, first, last, out):
    """float32 scores of int32 products for queries first to last."""
    for query in range(first, last):
        factor = query_scale[query]
        for column in range(products.shape[1]):
            out[query, column] = np.float32(products[query, column]) * row_scale[column] * factor


@njit(nogil=True, cache=CACHE, fastmath={"reassoc", "contract", "nsz"})
def _encode_bf16(row, bits, codes):
    rest = 0.0
    for at in range(row.shape[0]):
        word = bits[at]
        code = (word + np.uint32(0x7FFF) + ((word >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
        codes[at] = np.uint16(code)
    kept = (codes.astype(np.uint32) << np.uint32(16)).view(np.float32)
    for at in range(row.shape[0]):
        difference = np.float64(row[at]) - np.float64(kept[at])
        rest += difference * difference
    return rest


@njit(nogil=True, cache=CACHE)
def encode_bf16(rows, bits, first, last, codes, residuals):
    """Rows first to last rounded to the nearest bfloat16, ties to even, as 16 bits; and the norm of what that loses."""
    for row in range(first, last):
        residuals[row] = np.sqrt(_encode_bf16(rows[row], bits[row], codes[row]))


@njit(nogil=True, cache=CACHE)
def insert_best(position, score, cell, begin, first, last, top_position, top_score, top_cell):
    """Inserts candidates into the running top-k of queries first to last: highest cell first, then lowest position.

    `begin[q]` to `begin[q + 1]` are the candidates of query q.
    """
    k = top_position.shape[1]
    for row in range(first, last):
        for at in range(begin[row], begin[row + 1]):
            place = k
            while place > 0 and (
                cell[at] > top_cell[row, place - 1]
                or (cell[at] == top_cell[row, place - 1] and position[at] < top_position[row, place - 1])
            ):
                place -= 1
            if place == k:
                continue
            for behind in range(k - 1, place, -1):
                top_position[row, behind] = top_position[row, behind - 1]
                top_score[row, behind] = top_score[row, behind - 1]
                top_cell[row, behind] = top_cell[row, behind - 1]
            top_position[row, place] = position[at]
            top_score[row, place] = score[at]
            top_cell[row, place] = cell[at]
