"""One abstract interface per kind of instrument, and the real drivers behind them."""
