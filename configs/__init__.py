"""Stations and experiments that come with qdlab, as TOML files."""
