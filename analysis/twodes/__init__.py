"""Two-dimensional electronic spectroscopy: arrays of spectra in, maps and times out."""
