"""The official description of every Photon-HDF5 field that qdlab writes.

The format requires these sentences, word for word, as attribute `TITLE` of each node. They are quoted
from the Photon-HDF5 0.5 specification (http://photon-hdf5.org/; `specs/photon-hdf5_specs.json` of its
reference library phconvert 0.10.2), with the numbered fields written out.
"""

from __future__ import annotations

FORMAT_NAME = "Photon-HDF5"
FORMAT_VERSION = "0.5"
FORMAT_URL = "http://photon-hdf5.org/"

TITLES = {
    "/": "A file format for photon-counting detector based single-molecule spectroscopy experiments.",
    "/acquisition_duration": "Measurement duration in seconds.",
    "/description": "A user-defined comment describing the data file.",
    "/format_name": "Name of the file format.",
    "/format_version": "Version for the Photon-HDF5 format.",
    "/photon_data": "Group containing arrays of photon-data.",
    "/photon_data/timestamps": (
        "Array of photon timestamps. Units specified in timestamps_units (defined in timestamps_specs/)."
    ),
    "/photon_data/detectors": "Array of pixel IDs for each timestamp.",
    "/photon_data/nanotimes": (
        "TCSPC photon arrival time (nanotimes). Units and other specifications are in nanotimes_specs group."
    ),
    "/photon_data/timestamps_specs": "Specifications for timestamps.",
    "/photon_data/timestamps_specs/timestamps_unit": "Value of 1-unit timestamp-increment in seconds.",
    "/photon_data/nanotimes_specs": "Group for nanotime-specific data.",
    "/photon_data/nanotimes_specs/tcspc_unit": (
        "Value of 1-unit nanotime-increment in seconds (TCSPC bin size)."
    ),
    "/photon_data/nanotimes_specs/tcspc_num_bins": "Number of TCSPC bins.",
    "/photon_data/nanotimes_specs/tcspc_range": "TCSPC full-scale range in seconds.",
    "/photon_data/measurement_specs": (
        "Metadata necessary for interpretation of the particular type of measurement."
    ),
    "/photon_data/measurement_specs/measurement_type": "Name of the measurement the data represents.",
    "/photon_data/measurement_specs/laser_repetition_rate": (
        "Repetition rate of the pulsed excitation laser (in Hertz)."
    ),
    "/photon_data/measurement_specs/detectors_specs": (
        "Mapping between the pixel IDs and the detection channels."
    ),
    "/photon_data/measurement_specs/detectors_specs/split_ch1": (
        "Pixel IDs for the first channel split through a non-polarizing beam splitter."
    ),
    "/photon_data/measurement_specs/detectors_specs/split_ch2": (
        "Pixel IDs for the second channel split through a non-polarizing beam splitter."
    ),
    "/setup": "Information about the experimental setup.",
    "/setup/num_pixels": "Total number of detector pixels.",
    "/setup/num_spots": 'Number of excitation (or detection) "spots" in the sample.',
    "/setup/num_spectral_ch": "Number of distinct spectral bands which are acquired.",
    "/setup/num_polarization_ch": "Number of distinct polarization states which are acquired.",
    "/setup/num_split_ch": (
        "Number of distinct detection channels detecting the same spectral band and polarization. "
        "This value is > 1 when using a non-polarizing beam splitter."
    ),
    "/setup/modulated_excitation": (
        "True (i.e. 1) if there is any form of excitation modulation of excitation wavelength (as in us-ALEX "
        "or PAX) or polarization. This field is also True for pulse-interleaved excitation (PIE) or ns-ALEX "
        "measurements."
    ),
    "/setup/excitation_alternated": (
        "New in version 0.5. Indicates whether each excitation source is alternated (True, or 1) or not "
        "alternated (False, or 0)."
    ),
    "/setup/lifetime": (
        "True (i.e. 1) if the measurement includes a nanotimes array of photon arrival times with respect to "
        "a laser pulse (as in TCSPC measurements)."
    ),
    "/setup/excitation_wavelengths": (
        "List of excitation wavelengths (center wavelength if broad-band) in increasing order (unit: meter)."
    ),
    "/setup/excitation_cw": (
        "For each excitation source, this field indicates whether excitation is continuous wave (CW), True "
        "(i.e. 1), or pulsed, False (i.e. 0)."
    ),
    "/setup/laser_repetition_rates": ("Repetition rates in Hz for each laser. CW lasers have a value of 0."),
    "/setup/detection_wavelengths": ("Reference wavelengths (units: meter) for each detected spectral band."),
    "/identity": "Information about the Photon-HDF5 data file.",
    "/identity/author": "Author of the current data file.",
    "/identity/author_affiliation": "Company or institution the author is affiliated with.",
    "/identity/creation_time": "Creation time of the current Photon-HDF5 file.",
    "/identity/software": "Name of the software used to create the current Photon-HDF5 file.",
    "/identity/software_version": "Version of the software used to create current the Photon-HDF5 file.",
    "/identity/format_name": "Name of the file format.",
    "/identity/format_version": "Version for the Photon-HDF5 format.",
    "/identity/format_url": "Official URL for the Photon-HDF5 format.",
    "/provenance": "Information about the original data file.",
    "/provenance/filename": "File name of the original data file before conversion to Photon-HDF5.",
    "/provenance/creation_time": "Creation time of the original data file.",
    "/provenance/software": "Software used to save the original data file.",
    "/sample": "Information about the measured sample.",
    "/sample/sample_name": "A descriptive name for the sample.",
    "/sample/buffer_name": "A descriptive name for the buffer.",
}
