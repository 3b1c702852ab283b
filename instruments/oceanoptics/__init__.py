"""Ocean Optics spectrometers, through seabreeze."""
