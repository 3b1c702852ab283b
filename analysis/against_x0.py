"""A dot compared with its own neutral state: gammaA/gamma0, lifetime enhancement, intensity drop."""

from __future__ import annotations

import math

import numpy as np

from .flid_data import Calibration
from .joint_fit import JointFit
from .scaling import (
    Ratio,
    ScalingCurve,
    auger_ratio_from_intensities,
    auger_ratio_from_lifetimes,
    scaling_curve,
)
from .states import ChargeStates, State


def auger_ratios(
    states: ChargeStates, calibration: Calibration, period_ns: float, warnings: list[str]
) -> tuple[Ratio | None, Ratio | None]:
    """gammaA/gamma0 from the lifetimes and, as a check, from the intensities of the slow exponentials."""
    if states.x0 is None or states.x_minus is None or states.fit is None:
        return None, None
    fit = states.fit
    lifetimes = auger_ratio_from_lifetimes(
        float(fit.lifetimes_ns[0]), float(fit.lifetimes_ns[1]), fit.covariance_ns2
    )
    x0, x_minus = (slow_rate(state, fit, i) for i, state in enumerate((states.x0, states.x_minus)))
    intensities = auger_ratio_from_intensities(
        x0, x_minus, fit.lifetimes_ns, period_ns, calibration.pairs_per_pulse
    )
    if abs(lifetimes.value - intensities.value) > 5 * math.hypot(lifetimes.error, intensities.error, 0.03):
        warnings.append(
            f"gammaA/gamma0 is {lifetimes.value:.3f} by lifetimes but {intensities.value:.3f} by "
            "intensities: check that X0 and X- were told apart"
        )
    return lifetimes, intensities


def scaling_from(x0: State | None, auger: Ratio | None) -> ScalingCurve | None:
    """The line of charge states through X0; None where X0 or gammaA/gamma0 is not known."""
    if x0 is None or auger is None:
        return None
    return scaling_curve(x0.lifetime_ns, x0.net_rate_hz, auger.value)


def slow_rate(state: State, fit: JointFit, index: int) -> Ratio:
    """Rate of the photons in the slow exponentials of one state, the `index`-th of the common fit."""
    total = fit.amounts[index].sum()
    share = fit.amounts[index, :2].sum() / total
    share_err = np.hypot(*fit.amounts_err[index, 2:]) / total
    error = math.hypot(share * state.rate_err_hz, share_err * state.net_rate_hz)
    return Ratio(float(share * state.net_rate_hz), error)


def enhancement_and_drop(
    x0: State | None, lifetime_ns: Ratio, net_rate_hz: Ratio, calibration: Calibration
) -> tuple[Ratio | None, Ratio | None]:
    """Lifetime of X0 over `lifetime_ns`, and its rate over `net_rate_hz`, both background-subtracted."""
    if x0 is None:
        return None, None
    enhancement = quotient(Ratio(x0.lifetime_ns, x0.lifetime_err_ns), lifetime_ns)
    x0_err = math.hypot(x0.rate_err_hz, calibration.background_err_hz)
    return enhancement, quotient(Ratio(x0.net_rate_hz, x0_err), net_rate_hz)


def quotient(above: Ratio, below: Ratio) -> Ratio | None:
    """Quotient of two independent positive numbers with its standard error; None for any others."""
    if not (above.value > 0 and below.value > 0):
        return None
    value = above.value / below.value
    return Ratio(value, value * math.hypot(above.error / above.value, below.error / below.value))


def state_summary(state: State | None) -> dict[str, float | None]:
    """A state's lifetime and rate as plain numbers; None stands for what was not found."""
    return {
        "lifetime_ns": number(state and state.lifetime_ns),
        "lifetime_err_ns": number(state and state.lifetime_err_ns),
        "rate_hz": number(state and state.rate_hz),
    }


def value_and_error(ratio: Ratio | None) -> tuple[float | None, float | None]:
    """Value and error as JSON numbers."""
    return (None, None) if ratio is None else (number(ratio.value), number(ratio.error))


def number(value: float | None) -> float | None:
    """A JSON number: None for what is unknown, not finite or absent."""
    return float(value) if value is not None and math.isfinite(value) else None
