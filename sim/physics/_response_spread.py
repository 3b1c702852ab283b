"""Compiled: what each pathway of an ensemble adds to the grid of frequencies.

A pathway is c exp(i (x1 t1 + x2 t2 + x3 t3)) with c complex, and goes to 4 x 4 x 4 grid points. The pathways
come cell by cell of x1, so that only four planes of the grid are needed at a time. These lie interleaved: the
four points along x1 are next to each other and are written by one instruction; plane p is slot p % 4. Every
place is checked against the grid before it is written to.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from ._response_taps import DEGREE, TAPS
from .dimer_states import EXCITONS

_FLOAT, _INDEX = ir.FloatType(), ir.IntType(64)
_LINE = ir.VectorType(_FLOAT, 2 * TAPS)  # four complex64
_QUAD = ir.VectorType(_FLOAT, TAPS)
_STATES = EXCITONS


def _pathway_code(typingctx, grid, corner, re, im, place, polynomials, taps1, taps2, row, stride):
    """Write `_add_pathway`: (re + i im) * taps1 * taps2[row] * taps at `place` for 4 x 4 lines of 8 float32.

    Line (a, b) starts at corner + a * stride + 8 b; the caller checks that it is there. `polynomials` is
    float32 [DEGREE + 1, 4]; `taps1`, float32 [8], has each tap twice; `taps2` is float32 [.., 4]. These are
    vector instructions for what numba does number by number, three times slower.
    """

    def codegen(context, b, signature, args):
        def pointer(k, offset, to):
            data = context.make_array(signature.args[k])(context, b, args[k]).data
            return b.bitcast(b.gep(data, [offset]), to.as_pointer())

        def index(k):
            return ir.Constant(_INDEX, k)

        def vector(kind, *numbers):
            made = ir.Constant(kind, ir.Undefined)
            for k in range(kind.count):
                made = b.insert_element(made, numbers[k % len(numbers)], ir.Constant(ir.IntType(32), k))
            return made

        def times_plus(x, y, z):
            return b.fadd(b.fmul(x, y, flags=("contract",)), z, flags=("contract",))

        powers = [b.load(pointer(5, index(TAPS * d), _QUAD), align=4) for d in range(DEGREE + 1)]
        taps3 = powers[DEGREE]
        for d in reversed(range(DEGREE)):
            taps3 = times_plus(taps3, vector(_QUAD, args[4]), powers[d])
        first = b.fmul(b.load(pointer(6, index(0), _LINE), align=4), vector(_LINE, args[2], args[3]))
        thirds = [
            vector(_LINE, b.extract_element(taps3, ir.Constant(ir.IntType(32), k))) for k in range(TAPS)
        ]
        for a in range(TAPS):
            second = b.load(pointer(7, b.add(b.mul(args[8], index(TAPS)), index(a)), _FLOAT))
            line = b.fmul(first, vector(_LINE, second))
            row = b.add(args[1], b.mul(args[9], index(a)))
            for k, third in enumerate(thirds):
                target = pointer(0, b.add(row, index(2 * TAPS * k)), _LINE)
                b.store(times_plus(third, line, b.load(target, align=4)), target, align=4)
        return context.get_dummy_value()

    kinds = (grid, types.int64, re, im, place, polynomials, taps1, taps2, types.int64, types.int64)
    return types.void(*kinds), codegen


_add_pathway: Callable[..., None] = intrinsic(_pathway_code)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def cell_of(x, axis):
    """Where x lies on a periodic axis (lowest, 1 / spacing, cells, 1 / cells): cell + place in it."""
    at = (x - axis[0]) * axis[1]
    at -= axis[2] * math.floor(at * axis[3])
    if not 0.0 <= at < axis[2]:  # rounding
        at = 0.0
    return at


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"}, inline="always")
def _tap(place, polynomials, k):
    """Evaluate tap `k` at a place in a cell."""
    tap = polynomials[6, k]
    for d in range(5, -1, -1):
        tap = tap * place + polynomials[d, k]
    return tap


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _begin(place, polynomials, plane, taps1):
    """Fill `taps1` with the taps along x1, each twice, in the order of the slots."""
    if not 0.0 <= place <= 1.0:
        raise IndexError("a pathway lies outside its part of the grid")
    for k in range(4):
        slot = (plane + k) % 4
        tap = _tap(np.float32(place), polynomials, k)
        taps1[2 * slot], taps1[2 * slot + 1] = tap, tap


@njit(cache=True, nogil=True, error_model="numpy")
def _check(grid, shape):
    """Refuse a grid that is smaller than its shape."""
    if grid.size < 8 * shape[0] * shape[2]:
        raise IndexError("the grid is smaller than its shape")


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _put(found, where, k, corner, at, first, end, row, c):
    """Note pathway `k`: its line, row of taps, place and strength; `at` counts from the point `first`."""
    cell = first + int(at)
    if not first <= cell <= end - 4:
        raise IndexError("a pathway lies outside its part of the grid")
    where[k, 0], where[k, 1] = corner + 8 * cell, row
    found[k, 0], found[k, 1], found[k, 2] = c.real, c.imag, np.float32(at - math.floor(at))


@njit(cache=True, nogil=True, error_model="numpy")
def _add_noted(grid, count, where, found, polynomials, taps1, taps2, stride):
    """Add what `_put` has noted: done apart, the processor need not wait for one place to find the next."""
    for k in range(count):
        re, im, place = found[k, 0], found[k, 1], found[k, 2]
        _add_pathway(grid, where[k, 0], re, im, place, polynomials, taps1, taps2, where[k, 1], stride)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _corner(at, width2, stride, poly2, taps2, row):
    """Fill a row of taps along x2; return where the lines of its first point start."""
    cell = int(at)
    if not 0 <= cell <= width2 - 4:
        raise IndexError("a pathway lies outside its part of the grid")
    for k in range(4):
        taps2[row, k] = _tap(np.float32(at - cell), poly2, k)
    return cell * stride


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def spread(grid, shape, plane, items, places, axes, polynomials, signs, levels, links, phases, rows):
    """Add the coherent pathways of `items` (dimer * 16 + state m of t1), all in cell `plane` of x1.

    `grid` is float32 (x2, x3, slot, re and im), `places` are those of x1 in the cell. For the state o that is
    the other one in t2: x1 = s1 w_m, x2 = s2 (w_o - w_m); signs = (s1, s2) is (1, -1) for R, (-1, 1) for N.
    Excited-state absorption runs over F with x3 = -(w_F - w_i), i being m in R and o in N; emission has the
    one x3 = -w_o in R, -w_m in N. Along x3 `section` points are for absorption, then come those for emission.
    """
    width2, section, width3 = shape
    axis2, axis3, axis4 = axes
    poly1, poly2, poly3, poly4 = polynomials
    energy, pair_energy = levels
    climb, climb_lit = links
    phase_m, phase_o, phase_pair, emit_m, emit_o = phases
    row_start, link_i, link_j, link_pair = rows
    stride = 8 * width3
    _check(grid, shape)
    rephasing = signs[0] > 0
    taps1, taps2 = np.empty(8, np.float32), np.empty((_STATES, 4), np.float32)
    found, where = np.empty((len(link_i), 3), np.float32), np.empty((len(link_i), 2), np.int64)
    glow, shine = np.empty((_STATES, 3), np.float32), np.empty((_STATES, 2), np.int64)
    for k in range(len(items)):
        n, m = items[k] // _STATES, items[k] % _STATES
        w, w_pair, phase_f, up, up_lit = energy[n], pair_energy[n], phase_pair[n], climb[n], climb_lit[n]
        _begin(places[k], poly1, plane, taps1)
        count, glows = 0, 0
        for o in range(_STATES):
            if o == m:
                continue
            w_i = w[m] if rephasing else w[o]
            corner = _corner(cell_of(signs[1] * (w[o] - w[m]), axis2), width2, stride, poly2, taps2, o)
            phase = -phase_m[n, m] * phase_o[n, o]
            for e in range(row_start[m * _STATES + o], row_start[m * _STATES + o + 1]):
                pair = link_pair[link_i[e]]
                c = up[link_i[e]] * up_lit[link_j[e]] * (phase * phase_f[pair])
                at = cell_of(w_i - w_pair[pair], axis3)
                _put(found, where, count, corner, at, 0, section, o, c)
                count += 1
            at = cell_of(-w[o] if rephasing else -w[m], axis4)
            _put(glow, shine, glows, corner, at, section, width3, o, emit_m[n, m] * emit_o[n, o])
            glows += 1
        _add_noted(grid, count, where, found, poly3, taps1, taps2, stride)
        _add_noted(grid, glows, shine, glow, poly4, taps1, taps2, stride)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def spread_double_quantum(
    grid, shape, plane, items, places, axes, polynomials, levels, links, phases, ladder
):
    """Add the pathways of Q for `items` (dimer * 16 + state i of t1), all in cell `plane` of x1.

    As `spread`; x1 = -w_i, x2 = -w_F; absorption has x3 = -(w_F - w_j), emission x3 = -w_j.
    """
    width2, section, width3 = shape
    axis2, axis3, axis4 = axes
    poly1, poly2, poly3, poly4 = polynomials
    energy, pair_energy = levels
    climb, climb_lit = links
    phase_i, rise_pair, phase_pair, rise_j, emit_j = phases
    link_exciton, link_pair, from_start, from_link, into_start, into_link = ladder
    stride = 8 * width3
    _check(grid, shape)
    taps1, taps2 = np.empty(8, np.float32), np.empty((len(link_pair), 4), np.float32)
    found, where = np.empty((4 * len(link_pair), 3), np.float32), np.empty((4 * len(link_pair), 2), np.int64)
    glow, shine = found.copy(), where.copy()
    for k in range(len(items)):
        n, i = items[k] // _STATES, items[k] % _STATES
        w, w_pair, up, up_lit = energy[n], pair_energy[n], climb[n], climb_lit[n]
        _begin(places[k], poly1, plane, taps1)
        count = 0
        for first in range(from_start[i], from_start[i + 1]):
            rise = from_link[first]
            pair = link_pair[rise]
            corner = _corner(cell_of(-w_pair[pair], axis2), width2, stride, poly2, taps2, rise)
            climbed = up_lit[rise] * phase_i[n, i] * rise_pair[n, pair]
            for second in range(into_start[pair], into_start[pair + 1]):
                link = into_link[second]
                j = link_exciton[link]
                c = -up[link] * climbed * phase_pair[n, pair] * rise_j[n, j]
                _put(found, where, count, corner, cell_of(w[j] - w_pair[pair], axis3), 0, section, rise, c)
                c = up_lit[link] * climbed * emit_j[n, j]
                _put(glow, shine, count, corner, cell_of(-w[j], axis4), section, width3, rise, c)
                count += 1
        _add_noted(grid, count, where, found, poly3, taps1, taps2, stride)
        _add_noted(grid, count, shine, glow, poly4, taps1, taps2, stride)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def spread_lines(lines, dimers, axis, polynomials, levels, links, phases, link_exciton, link_pair):
    """Add what each state k absorbs along t3, negative, to `lines`, float32 [16, dimers, 2 * points]."""
    energy, pair_energy = levels
    climb, climb_lit = links
    phase_k, phase_pair = phases
    points = lines.shape[2] // 2
    for row in range(len(dimers)):
        n = dimers[row]
        for link in range(len(link_pair)):
            k, pair = link_exciton[link], link_pair[link]
            at = cell_of(energy[n, k] - pair_energy[n, pair], axis)
            cell = int(at)
            if not 0 <= cell <= points - 4:
                raise IndexError("a pathway lies outside its part of the grid")
            place = np.float32(at - cell)
            c = -climb[n, link] * climb_lit[n, link] * phase_k[n, k] * phase_pair[n, pair]
            for b in range(4):
                tap = _tap(place, polynomials, b)
                lines[k, row, 2 * (cell + b)] += tap * c.real
                lines[k, row, 2 * (cell + b) + 1] += tap * c.imag


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def turn_states(turned, dimers, energy, amplitude, start_fs, step_fs, decay_per_fs):
    """Fill `turned` [17, dimers, times, 2] with Re, Im of amplitude exp((-i w - decay) t) and their sum."""
    for row in range(len(dimers)):
        n = dimers[row]
        turned[_STATES, row] = 0
        for i in range(_STATES):
            w = energy[n, i]
            fall = amplitude[n, i] * math.exp(-decay_per_fs * start_fs)
            re, im = fall * math.cos(w * start_fs), -fall * math.sin(w * start_fs)
            fall = math.exp(-decay_per_fs * step_fs)
            c, s = fall * math.cos(w * step_fs), -fall * math.sin(w * step_fs)
            for t in range(turned.shape[2]):
                turned[i, row, t, 0] = re
                turned[i, row, t, 1] = im
                turned[_STATES, row, t, 0] += re
                turned[_STATES, row, t, 1] += im
                re, im = re * c - im * s, re * s + im * c
