"""Compiled: what each pathway of an ensemble adds to the grid of frequencies.

A pathway is c exp(i (x1 t1 + x2 t2 + x3 t3)) with c complex, and goes to 4 x 4 x 4 grid points. Those of one
dimer that share the state of t1 are worked on together and in the order of x1, so that the part of the grid
that is written to stays in the cache. Every place is checked against the grid before it is written to.
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

_LINE = ir.VectorType(ir.FloatType(), 2 * TAPS)  # four complex64 taps, written at once
_INDEX = ir.IntType(64)
_STATES = EXCITONS


def _pathway_code(typingctx, grid, corner, re, im, place, polynomials, weights, strides):
    """Write `_add_pathway`: weights[a, b] * c * taps(place) is added to the grid from `corner` on.

    The 4 x 4 targets are the 8 float32 at corner + a * strides[0] + b * strides[1]; the caller checks them.
    `polynomials` is float32 [DEGREE + 1, 8], each tap twice, `weights` float32 [4, 4]. These are vector
    instructions for what numba does number by number, three times slower.
    """

    def codegen(context, b, signature, args):
        def pointer(array, kind, offset, to):
            data = context.make_array(kind)(context, b, array).data
            return b.bitcast(b.gep(data, [offset]), to.as_pointer())

        def everywhere(low, high):
            vector = ir.Constant(_LINE, ir.Undefined)
            for k in range(2 * TAPS):
                vector = b.insert_element(vector, high if k % 2 else low, ir.Constant(ir.IntType(32), k))
            return vector

        def times_plus(x, y, z):
            return b.fadd(b.fmul(x, y, flags=("contract",)), z, flags=("contract",))

        kinds = signature.args
        place_vector = everywhere(args[4], args[4])
        row = [
            b.load(pointer(args[5], kinds[5], ir.Constant(_INDEX, 2 * TAPS * d), _LINE), align=4)
            for d in range(DEGREE + 1)
        ]
        taps = row[DEGREE]
        for d in reversed(range(DEGREE)):
            taps = times_plus(taps, place_vector, row[d])
        line = b.fmul(taps, everywhere(args[2], args[3]))
        steps = [b.extract_value(args[7], k) for k in (0, 1)]
        for k in range(TAPS * TAPS):
            weight = b.load(pointer(args[6], kinds[6], ir.Constant(_INDEX, k), ir.FloatType()))
            offset = args[1]
            for step, count in zip(steps, divmod(k, TAPS), strict=True):
                offset = b.add(offset, b.mul(step, ir.Constant(_INDEX, count)))
            target = pointer(args[0], kinds[0], offset, _LINE)
            b.store(times_plus(everywhere(weight, weight), line, b.load(target, align=4)), target, align=4)
        return context.get_dummy_value()

    return types.void(grid, types.int64, re, im, place, polynomials, weights, strides), codegen


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
    tap = polynomials[6, 2 * k]
    for d in range(5, -1, -1):
        tap = tap * place + polynomials[d, 2 * k]
    return tap


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def spread(grid, shape, first_plane, items, axes, polynomials, signs, levels, links, phases, rows):
    """Add the coherent pathways of `items` (dimer * 16 + state m of t1) to `grid`, float32 re, im in turn.

    For the state o that is the other one in t2: x1 = s1 w_m, x2 = s2 (w_o - w_m); signs = (s1, s2) is (1, -1)
    for R and (-1, 1) for N. Excited-state absorption runs over F with x3 = -(w_F - w_i), i being m in R and o
    in N; emission has the one x3 = -w_o in R, -w_m in N. The last axis of the grid is `section` points for
    absorption, then those for emission.
    """
    planes, width2, section, width3 = shape
    axis1, axis2, axis3, axis4 = axes
    taps_1, taps_2, taps_3, taps_4 = polynomials
    energy, pair_energy = levels
    climb, climb_lit = links
    phase_m, phase_o, phase_pair, emit_m, emit_o = phases
    row_start, link_i, link_j, link_pair = rows
    stride1, stride2 = 2 * width2 * width3, 2 * width3
    strides = (stride1, stride2)
    if grid.size < planes * stride1:
        raise IndexError("the grid is smaller than its shape")
    rephasing = signs[0] > 0
    taps1 = np.empty(4, np.float32)
    weights = np.empty((4, 4), np.float32)
    for item in items:
        n, m = item // _STATES, item % _STATES
        w_m = energy[n, m]
        at = cell_of(signs[0] * w_m, axis1)
        plane = int(at) - first_plane
        if not 0 <= plane <= planes - 4:
            raise IndexError("a pathway lies outside its part of the grid")
        place = np.float32(at - math.floor(at))
        for k in range(4):
            taps1[k] = _tap(place, taps_1, k)
        for o in range(_STATES):
            if o == m:
                continue
            w_o = energy[n, o]
            w_i = w_m if rephasing else w_o
            at = cell_of(signs[1] * (w_o - w_m), axis2)
            cell = int(at)
            if not 0 <= cell <= width2 - 4:
                raise IndexError("a pathway lies outside its part of the grid")
            place = np.float32(at - cell)
            for b in range(4):
                tap = _tap(place, taps_2, b)
                for a in range(4):
                    weights[a, b] = taps1[a] * tap
            corner = plane * stride1 + cell * stride2
            phase = -phase_m[n, m] * phase_o[n, o]
            for e in range(row_start[m * _STATES + o], row_start[m * _STATES + o + 1]):
                pair = link_pair[link_i[e]]
                c = np.float32(climb[n, link_i[e]] * climb_lit[n, link_j[e]]) * phase * phase_pair[n, pair]
                at = cell_of(w_i - pair_energy[n, pair], axis3)
                cell = int(at)
                if not 0 <= cell <= section - 4:
                    raise IndexError("a pathway lies outside its part of the grid")
                place = np.float32(at - cell)
                _add_pathway(grid, corner + 2 * cell, c.real, c.imag, place, taps_3, weights, strides)
            at = cell_of(-w_o if rephasing else -w_m, axis4)
            cell = section + int(at)
            if not section <= cell <= width3 - 4:
                raise IndexError("a pathway lies outside its part of the grid")
            place = np.float32(at - math.floor(at))
            c = emit_m[n, m] * emit_o[n, o]
            _add_pathway(grid, corner + 2 * cell, c.real, c.imag, place, taps_4, weights, strides)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def spread_double_quantum(grid, shape, first_plane, items, axes, polynomials, levels, links, phases, ladder):
    """Add the pathways of Q for `items` (dimer * 16 + state i of t1) to `grid`, float32 re, im in turn.

    x1 = -w_i, x2 = -w_F; absorption has x3 = -(w_F - w_j), emission, behind the `section`, x3 = -w_j.
    """
    planes, width2, section, width3 = shape
    axis1, axis2, axis3, axis4 = axes
    taps_1, taps_2, taps_3, taps_4 = polynomials
    energy, pair_energy = levels
    climb, climb_lit = links
    phase_i, rise_pair, phase_pair, rise_j, emit_j = phases
    link_exciton, link_pair, from_start, from_link, into_start, into_link = ladder
    stride1, stride2 = 2 * width2 * width3, 2 * width3
    strides = (stride1, stride2)
    if grid.size < planes * stride1:
        raise IndexError("the grid is smaller than its shape")
    taps1 = np.empty(4, np.float32)
    weights = np.empty((4, 4), np.float32)
    for item in items:
        n, i = item // _STATES, item % _STATES
        at = cell_of(-energy[n, i], axis1)
        plane = int(at) - first_plane
        if not 0 <= plane <= planes - 4:
            raise IndexError("a pathway lies outside its part of the grid")
        place = np.float32(at - math.floor(at))
        for k in range(4):
            taps1[k] = _tap(place, taps_1, k)
        for up in from_link[from_start[i] : from_start[i + 1]]:
            pair = link_pair[up]
            at = cell_of(-pair_energy[n, pair], axis2)
            cell = int(at)
            if not 0 <= cell <= width2 - 4:
                raise IndexError("a pathway lies outside its part of the grid")
            place = np.float32(at - cell)
            for b in range(4):
                tap = _tap(place, taps_2, b)
                for a in range(4):
                    weights[a, b] = taps1[a] * tap
            corner = plane * stride1 + cell * stride2
            climbed = climb_lit[n, up] * phase_i[n, i] * rise_pair[n, pair]
            for down in into_link[into_start[pair] : into_start[pair + 1]]:
                j = link_exciton[down]
                at = cell_of(energy[n, j] - pair_energy[n, pair], axis3)
                cell = int(at)
                if not 0 <= cell <= section - 4:
                    raise IndexError("a pathway lies outside its part of the grid")
                place = np.float32(at - cell)
                c = -climb[n, down] * climbed * phase_pair[n, pair] * rise_j[n, j]
                _add_pathway(grid, corner + 2 * cell, c.real, c.imag, place, taps_3, weights, strides)
                at = cell_of(-energy[n, j], axis4)
                cell = section + int(at)
                if not section <= cell <= width3 - 4:
                    raise IndexError("a pathway lies outside its part of the grid")
                place = np.float32(at - math.floor(at))
                c = climb_lit[n, down] * climbed * emit_j[n, j]
                _add_pathway(grid, corner + 2 * cell, c.real, c.imag, place, taps_4, weights, strides)


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
