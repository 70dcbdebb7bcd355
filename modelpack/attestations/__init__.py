"""Attestations of an image: SBOM, provenance and signatures."""
