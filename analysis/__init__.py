"""Arrays in, results out: photons, decays, charge states, voltammograms."""
